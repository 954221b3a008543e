"""What passes between a variant and a provider: request, response, chunks.

Every provider maps from ``ModelRequest`` and to ``ProviderResponse`` / ``ProviderChunk``.
Source: the contract's page on the OpenAI-like family, section 1.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from tensorzero.types.content import Message, OutputBlock
from tensorzero.types.credentials import Credentials
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.files import FileResolver
from tensorzero.types.params import NO_PARAMS, ChatCompletionParams
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import ToolCallConfig
from tensorzero.types.usage import FinishReason, RawUsage, Usage
from tzcore.client import ClientError, Response
from tzcore.clock import OutboundClock

ProviderJsonMode = Literal["off", "on", "strict"]


class EarlyAnswer(Struct):
    """What came of an inference's first attempt before there was a request to answer: exactly one
    of ``response`` and ``error``. ``started`` is ``time.monotonic()`` when it was sent."""

    response: Response | None
    error: ClientError | None
    started: float


class ModelRequest(Struct):
    """One rendered call of a model; the same object serves every provider that is tried.

    ``json_mode`` is what providers are asked for; that of ``params`` is only recorded.
    """

    messages: list[Message]
    system: str | None = None
    tool_config: ToolCallConfig | None = None
    params: ChatCompletionParams = NO_PARAMS
    stream: bool = False
    json_mode: ProviderJsonMode = "off"
    function_type: Literal["chat", "json"] = "chat"
    output_schema: JSONSchema | None = None
    variant_extra_body: tuple[ExtraBody, ...] = ()
    variant_extra_headers: tuple[ExtraHeader, ...] = ()
    extra_body: tuple[ExtraBody, ...] = ()
    extra_headers: tuple[ExtraHeader, ...] = ()
    inference_id: str = ""
    files: FileResolver | None = None
    clock: OutboundClock = field(default_factory=OutboundClock)
    fetch_files: bool = False
    early: EarlyAnswer | None = None
    """Taken by the first attempt."""


class Attempt(Struct):
    """What one provider attempt gets beside the request."""

    model_name: str
    provider_name: str
    model_inference_id: str
    credentials: Credentials


class ProviderResponse(Struct):
    """A complete answer of a provider. Times are in whole milliseconds."""

    id: str
    output: list[OutputBlock]
    raw_request: str
    raw_response: str
    usage: Usage
    raw_usage: RawUsage | None
    finish_reason: FinishReason | None
    response_time_ms: int
    messages: list[Message]
    system: str | None
    ttft_ms: int | None = None


class TextChunk(Struct):
    id: str
    text: str

    def to_json(self) -> dict[str, Any]:
        return {"type": "text", "id": self.id, "text": self.text}


class ToolCallChunk(Struct):
    """``id`` is the call's id; ``raw_name`` and ``raw_arguments`` are deltas."""

    id: str
    raw_name: str | None
    raw_arguments: str

    def to_json(self) -> dict[str, Any]:
        return {
            "type": "tool_call",
            "id": self.id,
            "raw_name": self.raw_name or "",
            "raw_arguments": self.raw_arguments,
        }


class ThoughtChunk(Struct):
    id: str
    text: str | None = None
    signature: str | None = None
    summary_id: str | None = None
    summary_text: str | None = None
    provider_type: str | None = None
    extra_data: Any = None

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "type": "thought",
            "id": self.id,
            "text": self.text,
            "signature": self.signature,
            "summary_id": self.summary_id,
            "summary_text": self.summary_text,
        }
        if self.provider_type is not None:
            out["provider_type"] = self.provider_type
        if self.extra_data is not None:
            out["extra_data"] = self.extra_data
        return out


class UnknownChunk(Struct):
    id: str
    data: Any
    model_name: str | None = None
    provider_name: str | None = None

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "unknown", "id": self.id, "data": self.data}
        if self.model_name is not None:
            out["model_name"] = self.model_name
        if self.provider_name is not None:
            out["provider_name"] = self.provider_name
        return out


ChunkBlock = TextChunk | ToolCallChunk | ThoughtChunk | UnknownChunk


class ProviderChunk(Struct):
    """One event of a provider's stream; ``raw`` is the event's payload verbatim."""

    content: list[ChunkBlock]
    raw: str
    usage: Usage | None = None
    raw_usage: RawUsage | None = None
    finish_reason: FinishReason | None = None


class ModelResult(Struct):
    """A successful model call: the ground of one ``ModelInference`` row."""

    response: ProviderResponse
    model_name: str
    provider_name: str
    provider_type: str
    cached: bool = False
    failed_raw: list[Any] = field(default_factory=list)
