"""The spool on disk: segments of all workers, read frame by frame."""
