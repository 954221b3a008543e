# cython: language_level=3
"""Rows of inferences as one-line JSON objects, written in one pass.

The columns and their texts are the contract's (data model, sections 6 and 7); several hold JSON
text, which is escaped straight from one buffer into the other. Cost: about a microsecond a row of
two kilobytes.
"""

from libc.stdint cimport int64_t

from tzcore.blocks cimport put_blocks, put_messages
from tzcore.buffer cimport Buffer, lit


cdef class RowWriter:
    """Writes rows of the tables ``ChatInference``, ``JsonInference`` and ``ModelInference``.

    ``text_type`` is the class of plain text blocks (an attribute ``text``), which are written
    here; every other block is asked for its ``to_json()``.
    """

    cdef object text_type
    cdef Buffer out
    cdef Buffer inner

    def __init__(self, text_type):
        self.text_type = text_type
        self.out = Buffer()
        self.inner = Buffer()

    cdef int start(self, str id, str function_name, str variant_name, str episode_id, given,
                   str params, int64_t processing_time_ms, ttft_ms, tags, str extra_body,
                   str snapshot_hash) except -1:
        """The columns that chat and json inferences share."""
        cdef Buffer out = self.out
        cdef Buffer inner = self.inner
        out.clear()
        inner.clear()
        lit(out, b'{"id":')
        out.put_string(id)
        lit(out, b',"function_name":')
        out.put_string(function_name)
        lit(out, b',"variant_name":')
        out.put_string(variant_name)
        lit(out, b',"episode_id":')
        out.put_string(episode_id)
        lit(out, b',"input":')
        system = given.system
        inner.put_byte(b"{")
        if system is not None:
            lit(inner, b'"system":')
            if type(system) is str:
                inner.put_string(<str>system)
            else:
                inner.put_json(system)
            inner.put_byte(b",")
        lit(inner, b'"messages":')
        put_messages(inner, <list?>given.messages, self.text_type)
        inner.put_byte(b"}")
        out.put_embedded(inner)
        lit(out, b',"inference_params":')
        out.put_string(params)
        lit(out, b',"processing_time_ms":')
        out.put_number(processing_time_ms)
        lit(out, b',"ttft_ms":')
        out.put_optional_number(ttft_ms)
        lit(out, b',"tags":')
        if tags:
            out.put_json(tags)
        else:
            lit(out, b"{}")
        lit(out, b',"extra_body":')
        out.put_string(extra_body)
        lit(out, b',"snapshot_hash":')
        return out.put_string(snapshot_hash)

    def chat(self, str id, str function_name, str variant_name, str episode_id, given, str params,
             int64_t processing_time_ms, ttft_ms, tags, str extra_body, str snapshot_hash,
             list output, dict tools):
        """A row of ``ChatInference``. ``tools``: the tool columns, ``None`` without tools."""
        cdef Buffer out = self.out
        cdef Buffer inner = self.inner
        self.start(id, function_name, variant_name, episode_id, given, params,
                   processing_time_ms, ttft_ms, tags, extra_body, snapshot_hash)
        lit(out, b',"output":')
        inner.clear()
        put_blocks(inner, output, self.text_type)
        out.put_embedded(inner)
        if tools is None:
            lit(out, b',"tool_params":""}')
        else:
            self.put_columns(tools)
            out.put_byte(b"}")
        return out.take()

    def json(self, str id, str function_name, str variant_name, str episode_id, given, str params,
             int64_t processing_time_ms, ttft_ms, tags, str extra_body, str snapshot_hash,
             str output, str output_schema, list auxiliary):
        """A row of ``JsonInference``. ``output`` and ``output_schema`` are JSON texts."""
        cdef Buffer out = self.out
        cdef Buffer inner = self.inner
        self.start(id, function_name, variant_name, episode_id, given, params,
                   processing_time_ms, ttft_ms, tags, extra_body, snapshot_hash)
        lit(out, b',"output":')
        out.put_string(output)
        lit(out, b',"output_schema":')
        out.put_string(output_schema)
        lit(out, b',"auxiliary_content":')
        inner.clear()
        put_blocks(inner, auxiliary, self.text_type)
        out.put_embedded(inner)
        out.put_byte(b"}")
        return out.take()

    cdef int put_columns(self, dict columns) except -1:
        for name, value in columns.items():
            self.out.put_byte(b",")
            self.out.put_string(<str?>name)
            self.out.put_byte(b":")
            self.out.put_json(value)
        return 0

    def model(self, str inference_id, str function_name, str variant_name, str snapshot_hash,
              str model_name, str provider_name, bint cached, response, cost):
        """A row of ``ModelInference``. Zero tokens are NULL, as the reference writes them.

        ``response``: id, raw texts, usage, times, rendered messages and output of the call.
        """
        cdef Buffer out = self.out
        cdef Buffer inner = self.inner
        usage = response.usage
        out.clear()
        lit(out, b'{"id":')
        out.put_string(<str?>response.id)
        lit(out, b',"inference_id":')
        out.put_string(inference_id)
        lit(out, b',"function_name":')
        out.put_string(function_name)
        lit(out, b',"variant_name":')
        out.put_string(variant_name)
        lit(out, b',"raw_request":')
        out.put_string(<str?>response.raw_request)
        lit(out, b',"raw_response":')
        out.put_string(<str?>response.raw_response)
        lit(out, b',"model_name":')
        out.put_string(model_name)
        lit(out, b',"model_provider_name":')
        out.put_string(provider_name)
        lit(out, b',"input_tokens":')
        out.put_optional_number(usage.input_tokens or None)
        lit(out, b',"output_tokens":')
        out.put_optional_number(usage.output_tokens or None)
        lit(out, b',"response_time_ms":')
        out.put_optional_number(response.response_time_ms)
        lit(out, b',"ttft_ms":')
        out.put_optional_number(response.ttft_ms)
        lit(out, b',"system":')
        out.put_optional_string(response.system)
        lit(out, b',"input_messages":')
        inner.clear()
        put_messages(inner, <list?>response.messages, self.text_type)
        out.put_embedded(inner)
        lit(out, b',"output":')
        inner.clear()
        put_blocks(inner, <list?>response.output, self.text_type)
        out.put_embedded(inner)
        if cached:
            lit(out, b',"cached":true,"finish_reason":')
        else:
            lit(out, b',"cached":false,"finish_reason":')
        out.put_optional_string(response.finish_reason)
        lit(out, b',"snapshot_hash":')
        out.put_string(snapshot_hash)
        lit(out, b',"cost":')
        if cost is None:
            lit(out, b"null")
        else:
            out.put_json(cost)
        tokens = usage.provider_cache_read_input_tokens
        if tokens is not None:
            lit(out, b',"provider_cache_read_input_tokens":')
            out.put_optional_number(tokens)
        tokens = usage.provider_cache_write_input_tokens
        if tokens is not None:
            lit(out, b',"provider_cache_write_input_tokens":')
            out.put_optional_number(tokens)
        out.put_byte(b"}")
        return out.take()
