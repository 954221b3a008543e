# cython: language_level=3
"""Answers of an inference as chat completions of OpenAI's, written in one pass.

Keys and their order: the contract's page on the OpenAI-compatible API, section 7. Cost: about a
microsecond for an answer of a few hundred bytes.
"""

from tzcore.buffer cimport Buffer, lit


cdef class CompletionWriter:
    """Holds nothing but its scratch buffer."""

    cdef Buffer out

    def __init__(self):
        self.out = Buffer()

    def write(self, str inference_id not None, str episode_id not None, bytes finish_reason not None,
              content, bytes message_end not None, long long created, str model not None, usage,
              dict extra):
        """One answer. ``message_end``: further members of the message, its brace included;
        ``extra``: further members of the whole, ``None`` without."""
        cdef Buffer out = self.out
        out.clear()
        lit(out, b'{"id":')
        out.put_string(inference_id)
        lit(out, b',"episode_id":')
        out.put_string(episode_id)
        lit(out, b',"choices":[{"index":0,"finish_reason":"')
        out.put_bytes(finish_reason)
        lit(out, b'","logprobs":null,"message":{"role":"assistant","content":')
        out.put_optional_string(content)
        lit(out, b',"refusal":null,"annotations":[]')
        out.put_bytes(message_end)
        lit(out, b'}],"created":')
        out.put_number(created)
        lit(out, b',"model":')
        out.put_string(model)
        lit(out, b',"system_fingerprint":"","service_tier":null,"object":"chat.completion","usage":')
        put_usage(out, usage)
        if extra is not None:
            for name, value in extra.items():
                out.put_byte(b",")
                out.put_string(<str?>name)
                out.put_byte(b":")
                out.put_json(value)
        out.put_byte(b"}")
        return out.take()

    def usage(self, usage):
        """``usage`` alone, as a stream's last chunk has it."""
        self.out.clear()
        put_usage(self.out, usage)
        return self.out.take()


cdef int put_usage(Buffer out, usage) except -1:
    """Counts that are not known are left out; the cost is always there."""
    given = usage.input_tokens
    made = usage.output_tokens
    out.put_byte(b"{")
    if given is not None:
        lit(out, b'"prompt_tokens":')
        out.put_optional_number(given)
        out.put_byte(b",")
    if made is not None:
        lit(out, b'"completion_tokens":')
        out.put_optional_number(made)
        out.put_byte(b",")
        if given is not None:
            lit(out, b'"total_tokens":')
            out.put_optional_number(given + made)
            out.put_byte(b",")
    tokens = usage.provider_cache_read_input_tokens
    if tokens is not None:
        lit(out, b'"prompt_tokens_details":{"cached_tokens":')
        out.put_optional_number(tokens)
        lit(out, b"},")
    tokens = usage.provider_cache_write_input_tokens
    if tokens is not None:
        lit(out, b'"tensorzero_provider_cache_write_input_tokens":')
        out.put_optional_number(tokens)
        out.put_byte(b",")
    lit(out, b'"tensorzero_cost":')
    cost = usage.cost
    if cost is None:
        lit(out, b"null")
    else:
        out.put_json(float(cost))
    return out.put_byte(b"}")
