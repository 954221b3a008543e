"""Wiring: processes, sockets, signals. Nothing here knows what an inference is."""
