"""The release number: one place, read by ``/status``, the version header, rows and packaging."""

VERSION = "0.1.0"
