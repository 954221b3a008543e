"""Messages of a ``ModelRequest`` in Chat Completions form."""

from __future__ import annotations

import logging
from typing import Any

from tensorzero.providers.chat_completions.files import (
    FileContents,
    FileForm,
    default_form,
    map_file,
)
from tensorzero.types.content import (
    Message,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Unknown,
)
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.files import File
from tensorzero.types.model import ModelRequest

log = logging.getLogger(__name__)

JSON_INSTRUCTION = "Respond using JSON."


class MessageMapper:
    """Maps the messages of one provider's requests; made at start.

    ``form``: how inlined files are sent. ``reasoning_field``: where thoughts go, ``None`` when
    they are not sent. ``json_instruction``: whether ``json_mode = on`` adds one. ``system_role``
    is another for models that know no system message. A type whose messages differ further
    derives from this.
    """

    sends_thoughts_alone = False
    """Whether an assistant message of thoughts and nothing else is sent."""

    def __init__(
        self,
        provider_type: str,
        *,
        form: FileForm = default_form,
        reasoning_field: str | None = "reasoning_content",
        json_instruction: bool = True,
        sends_detail: bool = False,
        system_role: str = "system",
    ) -> None:
        self.provider_type = provider_type
        self.form = form
        self.reasoning_field = reasoning_field
        self.json_instruction = json_instruction
        self.sends_detail = sends_detail
        self.system_role = system_role

    def map(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> list[dict[str, Any]]:
        """All messages, system first; raises ``InvalidMessage``."""
        out: list[dict[str, Any]] = []
        system = request.system
        if self.json_instruction and request.json_mode == "on":
            system = self.system_for_json(system, messages)
        if system is not None:
            out.append({"role": self.system_role, "content": system})
        for message in messages:
            if message.role == "user":
                self.user(message, files, out)
            else:
                self.assistant(message, files, out)
        return out

    def system_for_json(self, system: str | None, messages: list[Message]) -> str | None:
        """The system text that asks for JSON, unless something already speaks of it."""
        if system is None:
            return JSON_INSTRUCTION
        if mentions_json(system, messages):
            return system
        return f"{JSON_INSTRUCTION}\n\n{system}"

    def user(self, message: Message, files: FileContents, out: list[dict[str, Any]]) -> None:
        """Add a user message to ``out``; the tool results in it come first."""
        content: list[Any] = []
        texts = 0
        for block in message.content:
            if isinstance(block, ToolResult):
                out.append(tool_message(block))
            else:
                texts += isinstance(block, Text)
                self.user_part(block, files, content)
        if content:
            out.append({"role": "user", "content": compact(content, texts)})

    def user_part(self, block: Any, files: FileContents, content: list[Any]) -> None:
        """Add a block that is no tool result to ``content``."""
        if isinstance(block, ToolCall):
            raise InvalidMessage("Tool calls are not supported in user messages")
        if isinstance(block, Thought):
            log.warning("a thought block in a user message is not sent")
        else:
            content.append(self.part(block, files))

    def assistant(self, message: Message, files: FileContents, out: list[dict[str, Any]]) -> None:
        """Add an assistant message to ``out``, unless nothing of it can be sent."""
        content: list[Any] = []
        tool_calls: list[dict[str, Any]] = []
        thoughts: list[Thought] = []
        texts = 0
        for block in message.content:
            if isinstance(block, ToolCall):
                tool_calls.append(tool_call(block))
            elif isinstance(block, Thought):
                thoughts.append(block)
            elif isinstance(block, ToolResult):
                raise InvalidMessage("Tool results are not supported in assistant messages")
            else:
                texts += isinstance(block, Text)
                content.append(self.part(block, files))
        lead = self.thought_text(thoughts) if thoughts else None
        if lead is not None:
            content.insert(0, {"type": "text", "text": lead})
            texts += 1
        mapped: dict[str, Any] = {"role": "assistant"}
        if content:
            mapped["content"] = self.content(content, texts)
        if tool_calls:
            mapped["tool_calls"] = tool_calls
        if thoughts and (content or tool_calls or self.sends_thoughts_alone):
            mapped.update(self.thought_fields(thoughts))
        if len(mapped) > 1:
            out.append(mapped)
        elif not self.sends_thoughts_alone:
            for _ in thoughts:
                log.warning("a thought block without content or tool call beside it is not sent")

    def content(self, content: list[Any], texts: int) -> Any:
        """The value of an assistant message's ``content``."""
        return compact(content, texts)

    def part(self, block: Any, files: FileContents) -> Any:
        """An element of ``content``."""
        if isinstance(block, Text):
            return {"type": "text", "text": block.text}
        if isinstance(block, File):
            return map_file(block, files, self.form, self.sends_detail)
        assert isinstance(block, Unknown)
        return block.data

    def thought_text(self, thoughts: list[Thought]) -> str | None:
        """Thoughts that stand in the content, before everything else."""
        return None

    def thought_fields(self, thoughts: list[Thought]) -> dict[str, Any]:
        """Fields of an assistant message for its thoughts."""
        texts = [thought.text for thought in thoughts if thought.text is not None]
        if not texts:
            return {}
        if self.reasoning_field is None:
            log.warning("%s takes no thought blocks: they are not sent", self.provider_type)
            return {}
        return {self.reasoning_field: "\n\n".join(texts)}


def mentions_json(system: str | None, messages: list[Message], *, results: bool = True) -> bool:
    """Whether the word occurs in a text; ``results``: tool results count too."""
    if system is not None and "json" in system.lower():
        return True
    for message in messages:
        for block in message.content:
            if isinstance(block, Text) and "json" in block.text.lower():
                return True
            if results and isinstance(block, ToolResult) and "json" in block.result.lower():
                return True
    return False


def tool_message(block: ToolResult) -> dict[str, Any]:
    return {"role": "tool", "content": block.result, "tool_call_id": block.id}


def tool_call(block: ToolCall) -> dict[str, Any]:
    return {
        "id": block.id,
        "type": "function",
        "function": {"name": block.name, "arguments": block.arguments},
    }


def compact(content: list[Any], texts: int) -> Any:
    """Exactly one text is sent as a plain string; ``texts``: how many of ``content`` are."""
    return content[0]["text"] if len(content) == 1 and texts == 1 else content
