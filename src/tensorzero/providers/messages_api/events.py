"""Events of Messages API streams."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

import orjson
from msgspec import Meta, Struct
from msgspec.json import Decoder

from tensorzero.providers.commonest import OTHER_FORM
from tensorzero.providers.failures import UNREADABLE, BadAnswer, body_text, reading
from tensorzero.providers.messages_api.figures import read_stop_reason, read_usage
from tensorzero.providers.reader import StreamReader
from tensorzero.types import json_text
from tensorzero.types.model import (
    Attempt,
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.usage import RawUsage

log = logging.getLogger(__name__)


class _Text(Struct, gc=False):
    type: Literal["text_delta"]
    text: str


class _Delta(Struct, gc=False):
    type: Literal["content_block_delta"]
    index: Annotated[int, Meta(ge=0, lt=2**31)]
    delta: _Text


_decode = Decoder(_Delta).decode


def read_text_delta(event: bytes) -> TextChunk | None:
    """An event that is one piece of text; ``None`` for any other."""
    try:
        delta = _decode(event)
    except OTHER_FORM:
        return None
    return TextChunk(str(delta.index), delta.delta.text)


class MessagesReader(StreamReader):
    """Reads one stream. ``prefilled``: the first chunk gets the brace with which the answer was
    begun for the model. ``shows_discarded``: the log shows the data of what is left out."""

    read_text = staticmethod(read_text_delta)

    def __init__(
        self,
        attempt: Attempt,
        provider_type: str,
        *,
        prefilled: bool,
        discards_unknown: bool,
        shows_discarded: bool,
    ) -> None:
        self.attempt = attempt
        self.provider_type = provider_type
        self.prefilled = prefilled
        self.discards_unknown = discards_unknown
        self.shows_discarded = shows_discarded
        self._calls: dict[int, str] = {}
        # Blocks of types that are passed on as they are: their input is no tool call of ours.
        self._unknown: set[int] = set()

    def ends(self, event: bytes) -> bool:
        """Only ``message_stop`` does, which ``chunk`` sees."""
        return False

    def chunk(self, event: bytes) -> ProviderChunk | None:
        text = read_text_delta(event)
        chunk: ProviderChunk | None
        if text is not None:
            chunk = ProviderChunk([text], body_text(event))
        else:
            chunk = self.any_chunk(event)
        if self.prefilled and chunk is not None:
            self.prefilled = False
            _restore_brace(chunk.content)
        return chunk

    def any_chunk(self, event: bytes) -> ProviderChunk | None:
        """An event of any form, as it came; raises ``BadAnswer``."""
        shown = body_text(event)
        try:
            return self._read(json_text.loads(event), shown)
        except BadAnswer:
            raise
        except UNREADABLE as error:
            reason = reading("Error parsing message: ", error)
            raise BadAnswer(f"{reason}, Data: {shown}") from None

    def finish(self) -> None:
        if not self.done:
            log.warning("a stream of %s ended without `message_stop`", self.provider_type)

    def _read(self, data: Any, shown: str) -> ProviderChunk | None:
        if not isinstance(data, dict):
            raise ValueError("not an object")
        match data.get("type"):
            case "content_block_delta":
                content = self._delta(_index(data), data.get("delta"))
                return None if content is None else ProviderChunk(content, shown)
            case "content_block_start":
                content = self._start(_index(data), data.get("content_block"))
                return None if content is None else ProviderChunk(content, shown)
            case "message_start":
                message = data.get("message")
                usage = message.get("usage") if isinstance(message, dict) else None
                return None if usage is None else self._with_usage(usage, shown)
            case "message_delta":
                return self._message_delta(data, shown)
            case "message_stop":
                self.done = True
            case "error":
                raise BadAnswer(orjson.dumps(data.get("error")).decode())
            case "ping" | "content_block_stop":
                pass
            case str() as kind:
                log.warning("an event of the unknown type `%s` is not read", kind)
            case _ if "error" in data:
                raise BadAnswer(orjson.dumps(data["error"]).decode())
            case _:
                raise ValueError("missing field `type`")
        return None

    def _start(self, index: int, block: Any) -> list[ChunkBlock] | None:
        if not isinstance(block, dict):
            raise ValueError("missing field `content_block`")
        block_id, mine = str(index), self.provider_type
        match block.get("type"):
            case "text" if isinstance(block.get("text"), str):
                return [TextChunk(block_id, block["text"])]
            case "tool_use":
                call_id, name = block.get("id"), block.get("name")
                if isinstance(call_id, str) and isinstance(name, str):
                    self._calls[index] = call_id
                    return [ToolCallChunk(call_id, name, "")]
            case "thinking":
                text, signature = block.get("thinking"), block.get("signature") or ""
                if isinstance(text, str) and isinstance(signature, str):
                    return [ThoughtChunk(block_id, text, signature, provider_type=mine)]
            case "redacted_thinking" if isinstance(block.get("data"), str):
                return [ThoughtChunk(block_id, None, block["data"], provider_type=mine)]
        self._unknown.add(index)
        return self._passed_on(block_id, block)

    def _delta(self, index: int, delta: Any) -> list[ChunkBlock] | None:
        if not isinstance(delta, dict):
            raise ValueError("missing field `delta`")
        block_id, mine = str(index), self.provider_type
        match delta.get("type"):
            case "text_delta" if isinstance(delta.get("text"), str):
                return [TextChunk(block_id, delta["text"])]
            case "input_json_delta" if isinstance(delta.get("partial_json"), str):
                return self._arguments(index, delta["partial_json"])
            case "thinking_delta" if isinstance(delta.get("thinking"), str):
                return [ThoughtChunk(block_id, delta["thinking"], provider_type=mine)]
            case "signature_delta" if isinstance(delta.get("signature"), str):
                return [ThoughtChunk(block_id, None, delta["signature"], provider_type=mine)]
        return self._passed_on(block_id, delta)

    def _arguments(self, index: int, text: str) -> list[ChunkBlock]:
        call_id = self._calls.get(index)
        if call_id is not None:
            return [ToolCallChunk(call_id, None, text)]
        if index in self._unknown:
            return []
        raise BadAnswer(
            f"Got InputJsonDelta chunk from Anthropic for index {index} without a preceding "
            "ToolUse ContentBlockStart"
        )

    def _message_delta(self, data: dict[str, Any], shown: str) -> ProviderChunk | None:
        delta = data.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else delta
        if not isinstance(delta, dict) or not isinstance(reason, str | None):
            content = self._passed_on("message_delta", delta)
            return None if content is None else ProviderChunk(content, shown)
        usage = data.get("usage")
        chunk = ProviderChunk([], shown) if usage is None else self._with_usage(usage, shown)
        chunk.finish_reason = read_stop_reason(reason)
        return chunk

    def _with_usage(self, usage: Any, shown: str) -> ProviderChunk:
        raw = RawUsage(
            self.attempt.model_inference_id, self.provider_type, "chat_completions", usage
        )
        return ProviderChunk([], shown, read_usage(usage), raw)

    def _passed_on(self, block_id: str, data: Any) -> list[ChunkBlock] | None:
        """Something of an unknown form, as it is; ``None`` where such things are discarded."""
        if self.discards_unknown:
            shown = f": {orjson.dumps(data).decode()}" if self.shows_discarded else ""
            log.warning("Discarding unknown chunk in %s response%s", self.provider_type, shown)
            return None
        attempt = self.attempt
        return [UnknownChunk(block_id, data, attempt.model_name, attempt.provider_name)]


def _index(data: dict[str, Any]) -> int:
    index = data.get("index")
    if type(index) is not int:
        raise ValueError("missing field `index`")
    return index


def _restore_brace(content: list[ChunkBlock]) -> None:
    """Begin a first chunk with the brace that was written for the model."""
    first = content[0] if content else None
    if isinstance(first, TextChunk) and len(content) == 1:
        content[0] = TextChunk("0", "{" + first.text.lstrip())
    else:
        content.insert(0, TextChunk("0", "{"))
