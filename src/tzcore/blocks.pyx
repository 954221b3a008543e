# cython: language_level=3
"""Content blocks and messages as JSON. For the serializers of this package (``cimport``).

``text_type`` is the class of plain text blocks (an attribute ``text``), which are written here;
every other block is asked for its ``to_json()``.
"""

from tzcore.buffer cimport Buffer, lit


cdef int put_blocks(Buffer out, list blocks, text_type) except -1:
    cdef bint first = True
    out.put_byte(b"[")
    for block in blocks:
        if not first:
            out.put_byte(b",")
        first = False
        if type(block) is text_type:
            lit(out, b'{"type":"text","text":')
            out.put_string(<str?>block.text)
            out.put_byte(b"}")
        else:
            out.put_json(block.to_json())
    return out.put_byte(b"]")


cdef int put_messages(Buffer out, list messages, text_type) except -1:
    cdef bint first = True
    out.put_byte(b"[")
    for message in messages:
        if not first:
            out.put_byte(b",")
        first = False
        lit(out, b'{"role":')
        out.put_string(<str?>message.role)
        lit(out, b',"content":')
        put_blocks(out, <list?>message.content, text_type)
        out.put_byte(b"}")
    return out.put_byte(b"]")
