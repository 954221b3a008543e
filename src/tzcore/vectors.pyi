def vector_json(vector: bytes) -> bytes:
    """``vector`` as a JSON array; raises ``ValueError`` for infinities and what is no number."""
