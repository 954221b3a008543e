# cython: language_level=3
"""Answers of an inference as JSON, written in one pass.

Keys and their order: the contract's native inference API, section 12. Cost: well below a
microsecond for an answer of a few hundred bytes.
"""

from tzcore.blocks cimport put_blocks
from tzcore.buffer cimport Buffer, lit


cdef class AnswerWriter:
    """Writes complete answers. ``text_type`` is the class of plain text blocks."""

    cdef object text_type
    cdef Buffer out

    def __init__(self, text_type):
        self.text_type = text_type
        self.out = Buffer()

    cdef int start(self, str inference_id, str episode_id, str variant_name) except -1:
        cdef Buffer out = self.out
        out.clear()
        lit(out, b'{"inference_id":')
        out.put_string(inference_id)
        lit(out, b',"episode_id":')
        out.put_string(episode_id)
        lit(out, b',"variant_name":')
        return out.put_string(variant_name)

    cdef bytes finish(self, usage, dict extra, finish_reason):
        cdef Buffer out = self.out
        lit(out, b',"usage":{"input_tokens":')
        out.put_optional_number(usage.input_tokens)
        lit(out, b',"output_tokens":')
        out.put_optional_number(usage.output_tokens)
        tokens = usage.provider_cache_read_input_tokens
        if tokens is not None:
            lit(out, b',"provider_cache_read_input_tokens":')
            out.put_optional_number(tokens)
        tokens = usage.provider_cache_write_input_tokens
        if tokens is not None:
            lit(out, b',"provider_cache_write_input_tokens":')
            out.put_optional_number(tokens)
        lit(out, b',"cost":')
        cost = usage.cost
        if cost is None:
            lit(out, b"null")
        else:
            out.put_json(float(cost))
        out.put_byte(b"}")
        if extra is not None:
            for name, value in extra.items():
                out.put_byte(b",")
                out.put_string(<str?>name)
                out.put_byte(b":")
                out.put_json(value)
        if finish_reason is not None:
            lit(out, b',"finish_reason":')
            out.put_string(<str?>finish_reason)
        out.put_byte(b"}")
        return out.take()

    def chat(self, str inference_id, str episode_id, str variant_name, list content, usage,
             dict extra, finish_reason):
        """The answer of a chat function; ``extra`` holds raw data that was asked for."""
        self.start(inference_id, episode_id, variant_name)
        lit(self.out, b',"content":')
        put_blocks(self.out, content, self.text_type)
        return self.finish(usage, extra, finish_reason)

    def json(self, str inference_id, str episode_id, str variant_name, raw, parsed, usage,
             dict extra, finish_reason):
        """The answer of a json function."""
        cdef Buffer out = self.out
        self.start(inference_id, episode_id, variant_name)
        lit(out, b',"output":{"raw":')
        out.put_optional_string(raw)
        lit(out, b',"parsed":')
        out.put_json(parsed)
        out.put_byte(b"}")
        return self.finish(usage, extra, finish_reason)
