# cython: language_level=3
"""Chunks of a streamed answer as JSON: what all chunks of a stream share is written once.

Keys and their order: the contract's native inference API, section 13. Cost of a text chunk: about
0.2 microseconds.
"""

from tzcore.buffer cimport Buffer, lit

# Nothing that runs while it is filled can come back here.
cdef Buffer scratch = Buffer()


cdef class ChunkWriter:
    """Writes the chunks of one stream. ``text_type``: the class of text deltas (``id``, ``text``)."""

    cdef object text_type
    cdef bytes head

    def __init__(self, str inference_id, str episode_id, str variant_name, text_type):
        cdef Buffer out = scratch
        self.text_type = text_type
        out.clear()
        lit(out, b'{"inference_id":')
        out.put_string(inference_id)
        lit(out, b',"episode_id":')
        out.put_string(episode_id)
        lit(out, b',"variant_name":')
        out.put_string(variant_name)
        self.head = out.take()

    def content(self, list blocks not None, dict extra):
        """A chunk of a chat function; ``extra`` are further members, ``None`` without."""
        cdef Buffer out = scratch
        cdef bint first = True
        out.clear()
        out.put_bytes(self.head)
        lit(out, b',"content":[')
        for block, fields in [
            (block, None if type(block) is self.text_type else block.to_json()) for block in blocks
        ]:
            if not first:
                out.put_byte(b",")
            first = False
            if fields is None:
                lit(out, b'{"type":"text","id":')
                out.put_string(<str?>block.id)
                lit(out, b',"text":')
                out.put_string(<str?>block.text)
                out.put_byte(b"}")
            else:
                out.put_json(fields)
        out.put_byte(b"]")
        return self.finish(extra)

    def around_text(self, str block_id not None):
        """What stands before and after the text in a chunk of a chat function that is one text."""
        cdef Buffer out = scratch
        out.clear()
        out.put_bytes(self.head)
        lit(out, b',"content":[{"type":"text","id":')
        out.put_string(block_id)
        lit(out, b',"text":')
        return out.take(), b"}]}"

    def around_raw(self):
        """The same for a chunk of a json function."""
        return self.head + b',"raw":', b"}"

    def raw(self, str delta not None, dict extra):
        """A chunk of a json function."""
        cdef Buffer out = scratch
        out.clear()
        out.put_bytes(self.head)
        lit(out, b',"raw":')
        out.put_string(delta)
        return self.finish(extra)

    cdef bytes finish(self, dict extra):
        cdef Buffer out = scratch
        if extra is not None:
            for name, value in extra.items():
                out.put_byte(b",")
                out.put_string(<str?>name)
                out.put_byte(b":")
                out.put_json(value)
        out.put_byte(b"}")
        return out.take()
