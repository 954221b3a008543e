"""Retention: old inferences, or their raw provider bodies, leave the database."""
