"""Heads of HTTP/1.1 messages; used by the compiled server and client only."""
