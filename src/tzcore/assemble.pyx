# cython: language_level=3
"""Provider bodies of text-only calls, put together from parts: the messages, and a tail that the
caller has serialized once for a set of parameters.
"""

from tzcore.buffer cimport Buffer, lit


cdef class ChatBody:
    """Writes bodies whose messages each are exactly one text. ``text_type``: the class of text
    blocks (an attribute ``text``). ``lists``: content is a list of one part, not a string; that
    of the system message is a string either way."""

    cdef object text_type
    cdef bint lists
    cdef Buffer out

    def __init__(self, text_type, bint lists=False):
        self.text_type = text_type
        self.lists = lists
        self.out = Buffer()

    def body(self, system, list messages, bytes tail not None):
        """The body, or ``None`` when a message is anything but one text.

        ``tail`` is what follows the messages, from its first key to the closing brace.
        """
        cdef Buffer out = self.out
        cdef list content
        cdef bint first = True
        out.clear()
        lit(out, b'{"messages":[')
        if system is not None:
            lit(out, b'{"role":"system","content":')
            out.put_string(<str?>system)
            out.put_byte(b"}")
            first = False
        for message in messages:
            content = <list?>message.content
            if len(content) != 1:
                return None
            block = content[0]
            if type(block) is not self.text_type:
                return None
            if not first:
                out.put_byte(b",")
            first = False
            lit(out, b'{"role":')
            out.put_string(<str?>message.role)
            if self.lists:
                lit(out, b',"content":[{"type":"text","text":')
                out.put_string(<str?>block.text)
                lit(out, b"}]}")
            else:
                lit(out, b',"content":')
                out.put_string(<str?>block.text)
                out.put_byte(b"}")
        lit(out, b"],")
        out.put_bytes(tail)
        return out.take()


cdef class GeminiBody:
    """``ChatBody`` of Gemini's form: contents, the tail, the system text."""

    cdef object text_type
    cdef Buffer out

    def __init__(self, text_type):
        self.text_type = text_type
        self.out = Buffer()

    def body(self, system, list messages, bytes tail not None):
        """The body, or ``None`` when a message is anything but one text.

        ``tail`` is what stands between contents and system text, commas not included.
        """
        cdef Buffer out = self.out
        cdef list content
        cdef bint first = True
        out.clear()
        lit(out, b'{"contents":[')
        for message in messages:
            content = <list?>message.content
            if len(content) != 1:
                return None
            block = content[0]
            if type(block) is not self.text_type:
                return None
            if not first:
                out.put_byte(b",")
            first = False
            if message.role == "user":
                lit(out, b'{"role":"user","parts":[{"text":')
            else:
                lit(out, b'{"role":"model","parts":[{"text":')
            out.put_string(<str?>block.text)
            lit(out, b"}]}")
        lit(out, b"],")
        out.put_bytes(tail)
        if system is not None:
            lit(out, b',"systemInstruction":{"role":"model","parts":[{"text":')
            out.put_string(<str?>system)
            lit(out, b"}]}")
        out.put_byte(b"}")
        return out.take()
