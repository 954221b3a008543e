"""``type = "deepseek"``."""

from __future__ import annotations

import logging
from typing import Any

from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.chat_completions.figures import count
from tensorzero.providers.chat_completions.files import FileContents
from tensorzero.providers.chat_completions.messages import MessageMapper
from tensorzero.providers.chat_completions.plain import PlainBodies
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.chat_completions.tools import OBJECT_FORMATS
from tensorzero.types.content import Message
from tensorzero.types.model import ChunkBlock, ModelRequest, TextChunk
from tensorzero.types.usage import Usage

log = logging.getLogger(__name__)


class DeepSeekMessages(MessageMapper):
    """Messages of one role that follow each other become one."""

    def map(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> list[dict[str, Any]]:
        merged: list[dict[str, Any]] = []
        for message in super().map(request, messages, files):
            if merged and message["role"] != "tool" and merged[-1]["role"] == message["role"]:
                merged[-1] = _merge(merged[-1], message)
            else:
                merged.append(message)
        return merged


def _merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {"role": first["role"]}
    both = [one for one in (first, second) if "content" in one]
    if len(both) == 2:
        merged["content"] = [*_parts(first["content"]), *_parts(second["content"])]
    elif both:
        merged["content"] = both[0]["content"]
    calls = [*first.get("tool_calls", ()), *second.get("tool_calls", ())]
    if calls:
        merged["tool_calls"] = calls
    reasoning = [one["reasoning_content"] for one in (first, second) if "reasoning_content" in one]
    if reasoning:
        merged["reasoning_content"] = "\n\n".join(reasoning)
    return merged


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class DeepSeekReader(ChatCompletionsReader):
    """Text stands before the thought of the same event."""

    thought_id = "0"

    def delta(self, delta: dict[str, Any], content: list[ChunkBlock]) -> None:
        super().delta(delta, content)
        content.sort(key=lambda block: not isinstance(block, TextChunk))


class DeepSeekProvider(ChatCompletionsProvider):
    """DeepSeek's API. Its reasoning models take no system message."""

    type = "deepseek"
    display_name = "DeepSeek"
    api_base = "https://api.deepseek.com/v1"
    keys = (
        "model temperature max_tokens seed top_p stop presence_penalty frequency_penalty stream "
        "stream_options tools tool_choice response_format"
    )
    json_formats = OBJECT_FORMATS
    message_mapper = DeepSeekMessages
    stream_reader = DeepSeekReader

    @property
    def _reasons(self) -> bool:
        return "reasoner" in self.model_name

    def mapper(self) -> MessageMapper:
        mapper = super().mapper()
        if self._reasons:
            mapper.system_role = "user"
            mapper.json_instruction = False
        return mapper

    def plain_bodies(self) -> PlainBodies | None:
        return PlainBodies(self.body, json_instruction=not self._reasons)

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        if self._reasons and request.system is not None:
            return None
        role: str | None = None
        for message in messages:
            if message.role == role:
                return None
            role = message.role
        return super().plain_body(request, messages)

    def response_format(self, request: ModelRequest) -> Any:
        if request.json_mode == "strict":
            log.warning("deepseek has no JSON mode with a schema: any object is asked for")
        return super().response_format(request)

    @staticmethod
    def usage(value: Any) -> Usage:
        figures = value if isinstance(value, dict) else {}
        return Usage(
            count(figures.get("prompt_tokens")),
            count(figures.get("completion_tokens")),
            count(figures.get("prompt_cache_hit_tokens")),
            count(figures.get("prompt_cache_miss_tokens")),
        )
