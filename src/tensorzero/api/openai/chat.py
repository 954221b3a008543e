"""``POST /openai/v1/chat/completions``: the form of an inference there."""

from __future__ import annotations

from tensorzero.api.face import ChunkWriter
from tensorzero.api.openai.answer import chat_completion
from tensorzero.api.openai.chunks import ChatCompletionChunks
from tensorzero.api.openai.errors import OpenAIErrors
from tensorzero.api.openai.request import parse_chat_completion
from tensorzero.gateway.answer import Answer
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.stream import InferenceStream


class ChatCompletionsFace(OpenAIErrors):
    """What ``InferenceRoute`` speaks to OpenAI's clients."""

    def parse(self, body: bytes) -> InferenceRequest:
        return parse_chat_completion(body)

    def answer(self, answer: Answer) -> bytes:
        return chat_completion(answer)

    def chunks(self, stream: InferenceStream, *, error_json: bool) -> ChunkWriter:
        return ChatCompletionChunks(stream, error_json)
