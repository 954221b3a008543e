def uuid7() -> str:
    """A fresh UUIDv7, lower-case and hyphenated, larger than all that this process made."""
