"""``type = "xai"``: Grok."""

from __future__ import annotations

from typing import Any

from tensorzero.providers.chat_completions.figures import count, read_usage
from tensorzero.providers.chat_completions.files import FileContents
from tensorzero.providers.chat_completions.messages import (
    JSON_INSTRUCTION,
    MessageMapper,
    mentions_json,
    tool_message,
)
from tensorzero.providers.chat_completions.plain import PlainBodies
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.types.content import Message, ToolResult
from tensorzero.types.usage import Usage


class XAIMessages(MessageMapper):
    """Content is always a list, and a user's blocks keep their order around tool results."""

    def system_for_json(self, system: str | None, messages: list[Message]) -> str | None:
        if mentions_json(system, messages, results=False):
            return system
        return JSON_INSTRUCTION if system is None else f"{JSON_INSTRUCTION}\n\n{system}"

    def user(self, message: Message, files: FileContents, out: list[dict[str, Any]]) -> None:
        content: list[Any] = []
        for block in message.content:
            if isinstance(block, ToolResult):
                if content:
                    out.append({"role": "user", "content": content})
                    content = []
                out.append(tool_message(block))
            else:
                self.user_part(block, files, content)
        if content:
            out.append({"role": "user", "content": content})

    def content(self, content: list[Any], texts: int) -> Any:
        return content


class XAIProvider(ChatCompletionsProvider):
    """xAI's API."""

    type = "xai"
    display_name = "xAI"
    api_base = "https://api.x.ai/v1"
    keys = (
        "model temperature max_tokens seed top_p presence_penalty frequency_penalty "
        "response_format stream stream_options tools tool_choice parallel_tool_calls stop "
        "reasoning_effort"
    )
    sends_detail = True
    message_mapper = XAIMessages

    def plain_bodies(self) -> PlainBodies | None:
        return PlainBodies(self.body, lists=True)

    @staticmethod
    def usage(value: Any) -> Usage:
        """``completion_tokens`` leaves reasoning tokens out."""
        usage = read_usage(value)
        if usage.output_tokens is not None:
            details = value.get("completion_tokens_details")
            reasoning = count(details.get("reasoning_tokens")) if isinstance(details, dict) else 0
            usage.output_tokens += reasoning or 0
        return usage
