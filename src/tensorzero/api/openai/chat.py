"""``POST /openai/v1/chat/completions``: the form of an inference there."""

from __future__ import annotations

from tensorzero.api.face import ChunkWriter
from tensorzero.api.openai.answer import chat_completion
from tensorzero.api.openai.chunks import ChatCompletionChunks
from tensorzero.api.openai.errors import openai_error_body
from tensorzero.api.openai.request import parse_chat_completion
from tensorzero.gateway.answer import Answer
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.stream import InferenceStream
from tensorzero.types.errors import GatewayError


class ChatCompletionsFace:
    """What ``InferenceRoute`` speaks to OpenAI's clients."""

    def parse(self, body: bytes) -> InferenceRequest:
        return parse_chat_completion(body)

    def answer(self, answer: Answer) -> bytes:
        return chat_completion(answer)

    def chunks(self, stream: InferenceStream, *, error_json: bool) -> ChunkWriter:
        return ChatCompletionChunks(stream, error_json)

    def error(self, error: GatewayError, *, error_json: bool, include_raw_response: bool) -> bytes:
        return openai_error_body(
            error, error_json=error_json, include_raw_response=include_raw_response
        )
