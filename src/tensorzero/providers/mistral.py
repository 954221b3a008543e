"""``type = "mistral"``: content may be a list that holds the model's thinking."""

from __future__ import annotations

from typing import Any

from tensorzero.providers.chat_completions.answers import AnswerReader, as_list, as_string
from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.chat_completions.figures import finish_reasons
from tensorzero.providers.chat_completions.files import FileContents
from tensorzero.providers.chat_completions.messages import MessageMapper, tool_call
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.chat_completions.tools import OBJECT_FORMATS
from tensorzero.providers.http import Answer
from tensorzero.types.content import Message, OutputBlock, Text, Thought, ToolCall, ToolResult
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.model import ChunkBlock, TextChunk, ThoughtChunk, ToolCallChunk

Piece = tuple[bool, str]
"""Whether it is thinking, and its text."""


def read_content(content: Any) -> list[Piece]:
    """The texts of a ``content``, empty ones left out; raises ``ValueError``."""
    if isinstance(content, str):
        return [(False, content)] if content else []
    pieces: list[Piece] = []
    for part in as_list(content, "content"):
        kind = part.get("type")
        if kind == "thinking":
            text = "".join(
                as_string(inner.get("text") or "", "text")
                for inner in as_list(part.get("thinking"), "thinking")
            )
        elif kind == "text":
            text = as_string(part.get("text") or "", "text")
        else:
            continue  # references and the like
        if text:
            pieces.append((kind == "thinking", text))
    return pieces


class MistralAnswers(AnswerReader):
    """Complete answers."""

    def plain(self, body: bytes) -> Answer | None:
        answer = super().plain(body)
        return None if answer is None or answer.output == [Text("")] else answer

    def content(self, content: Any) -> list[OutputBlock]:
        return [
            Thought(text, provider_type=self.thought_type) if thinks else Text(text)
            for thinks, text in read_content(content)
        ]


class MistralReader(ChatCompletionsReader):
    """One stream. Each delta of a tool call has its id and name; the name counts once a call."""

    def __init__(self, answers: AnswerReader, model_inference_id: str) -> None:
        super().__init__(answers, model_inference_id)
        self._names: dict[str, str | None] = {}

    def add_text(self, text: Any, content: list[ChunkBlock]) -> None:
        for thinks, piece in read_content(text):
            if thinks:
                thought_type = self.answers.thought_type
                content.append(ThoughtChunk("thinking", piece, provider_type=thought_type))
            else:
                content.append(TextChunk("0", piece))

    def tool_call(self, call: Any) -> ToolCallChunk:
        chunk = super().tool_call(call)
        if chunk.raw_name is not None and self._names.get(chunk.id) == chunk.raw_name:
            chunk.raw_name = None
        elif chunk.raw_name is not None:
            self._names[chunk.id] = chunk.raw_name
        return chunk


class ReasoningMessages(MessageMapper):
    """Assistant messages with ``prompt_mode``: thinking stays where it was between the texts."""

    def assistant(self, message: Message, files: FileContents, out: list[dict[str, Any]]) -> None:
        content: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        for block in message.content:
            if isinstance(block, Text):
                content.append({"type": "text", "text": block.text})
            elif isinstance(block, Thought):
                if block.text is not None:
                    inner = [{"type": "text", "text": block.text}]
                    content.append({"type": "thinking", "thinking": inner})
            elif isinstance(block, ToolCall):
                calls.append(tool_call(block))
            elif isinstance(block, ToolResult):
                raise InvalidMessage("Tool results are not supported in assistant messages")
        if not content and not calls:
            return
        mapped: dict[str, Any] = {"role": "assistant", "content": content or None}
        if len(content) == 1 and content[0]["type"] == "text":
            mapped["content"] = content[0]["text"]
        if calls:
            mapped["tool_calls"] = calls
        out.append(mapped)


class MistralProvider(ChatCompletionsProvider):
    """Mistral's API."""

    type = "mistral"
    display_name = "Mistral"
    api_base = "https://api.mistral.ai/v1/"
    keys = (
        "model temperature top_p presence_penalty frequency_penalty max_tokens random_seed stream "
        "response_format tools tool_choice stop prompt_mode"
    )
    json_formats = OBJECT_FORMATS
    json_instruction = False
    strict_tools = False
    required_choice = "any"
    finish_reasons = finish_reasons(model_length="length", error="unknown")
    answer_reader = MistralAnswers
    stream_reader = MistralReader

    def mapper(self) -> MessageMapper:
        if self.config.options.get("prompt_mode") is None:
            return super().mapper()
        return ReasoningMessages(self.type, json_instruction=False)
