"""The form that a route gives to the inference use cases: bodies in, answers, chunks, errors out.

``api/native.py`` is that of ``POST /inference``, ``api/openai`` that of OpenAI's clients.
"""

from __future__ import annotations

from typing import Protocol

from tensorzero.gateway.answer import Answer
from tensorzero.gateway.chunks import StreamEvent
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.stream import InferenceStream
from tensorzero.types.errors import GatewayError


class ChunkWriter(Protocol):
    """Writes the chunks of one stream; may keep what a chunk needs to know of earlier ones."""

    def __call__(self, event: StreamEvent) -> bytes:
        """The JSON of one chunk."""

    def around_text(self, block_id: str) -> tuple[bytes, bytes] | None:
        """See ``StreamListener.around_text``."""


class ErrorFace(Protocol):
    """What every route can say: that it failed."""

    def error(self, error: GatewayError, *, error_json: bool, include_raw_response: bool) -> bytes:
        """The body of a refusal. ``error_json``: with its kind and fields."""


class Face(ErrorFace, Protocol):
    """One form of an inference; shared by all requests of a route."""

    def parse(self, body: bytes) -> InferenceRequest:
        """What is asked for; raises ``GatewayError``."""

    def answer(self, answer: Answer) -> bytes:
        """The body of a complete answer."""

    def chunks(self, stream: InferenceStream, *, error_json: bool) -> ChunkWriter:
        """A writer for one stream."""
