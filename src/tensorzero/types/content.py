"""Content blocks: what messages and answers are made of.

Each block knows its own JSON form (``to_json``), keys in the order in which rows and answers
show them. Field names, null rules and orders: the contract's data model, section 6.1.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from tensorzero.types.files import File

Json = Any
JsonObject = dict[str, Any]
Role = Literal["user", "assistant"]


class Text(Struct, gc=False):
    """Plain text."""

    text: str

    def to_json(self) -> JsonObject:
        return {"type": "text", "text": self.text}


class Template(Struct):
    """A named template of the variant and its arguments; only in inputs."""

    name: str
    arguments: JsonObject

    def to_json(self) -> JsonObject:
        return {"type": "template", "name": self.name, "arguments": self.arguments}


class RawText(Struct):
    """Text that neither schema nor template touches; only in inputs."""

    value: str

    def to_json(self) -> JsonObject:
        return {"type": "raw_text", "value": self.value}


class ToolCall(Struct):
    """A tool call as the model wrote it: ``arguments`` is the model's text, unparsed."""

    id: str
    name: str
    arguments: str

    def to_json(self) -> JsonObject:
        return {"type": "tool_call", "id": self.id, "name": self.name, "arguments": self.arguments}


class CheckedToolCall(Struct):
    """A tool call of a chat answer, held against the tools that were offered.

    ``name`` is ``None`` when no such tool was offered, ``arguments`` when the text is not JSON
    or does not fit the tool's schema; the raw fields always carry the model's text.
    """

    id: str
    raw_name: str
    raw_arguments: str
    name: str | None
    arguments: Json

    def to_json(self) -> JsonObject:
        return {
            "type": "tool_call",
            "id": self.id,
            "raw_name": self.raw_name,
            "raw_arguments": self.raw_arguments,
            "name": self.name,
            "arguments": self.arguments,
        }


class ToolResult(Struct):
    """What the application answers to a tool call."""

    id: str
    name: str
    result: str

    def to_json(self) -> JsonObject:
        return {"type": "tool_result", "name": self.name, "result": self.result, "id": self.id}


class Thought(Struct):
    """Reasoning of a model. With ``provider_type`` set, only that type of provider sees it."""

    text: str | None = None
    signature: str | None = None
    summary: list[JsonObject] | None = None
    provider_type: str | None = None
    extra_data: Json = None

    def to_json(self) -> JsonObject:
        out: JsonObject = {"type": "thought", "text": self.text}
        if self.signature is not None:
            out["signature"] = self.signature
        if self.summary is not None:
            out["summary"] = self.summary
        if self.provider_type is not None:
            out["provider_type"] = self.provider_type
        if self.extra_data is not None:
            out["extra_data"] = self.extra_data
        return out


class Unknown(Struct):
    """A block of one provider that the gateway does not interpret."""

    data: Json
    model_name: str | None = None
    provider_name: str | None = None

    def to_json(self) -> JsonObject:
        out: JsonObject = {"type": "unknown", "data": self.data}
        if self.model_name is not None:
            out["model_name"] = self.model_name
        if self.provider_name is not None:
            out["provider_name"] = self.provider_name
        return out


InputBlock = Text | Template | RawText | ToolCall | ToolResult | Thought | File | Unknown
"""What a request's message may hold."""

ModelBlock = Text | ToolCall | ToolResult | Thought | File | Unknown
"""What a provider is sent: rendered."""

OutputBlock = Text | ToolCall | Thought | Unknown
"""What a provider answers."""

ChatBlock = Text | CheckedToolCall | Thought | Unknown
"""What a chat function answers."""


class InputMessage(Struct):
    """One message of a request, unrendered."""

    role: Role
    content: list[InputBlock]

    def to_json(self) -> JsonObject:
        return {"role": self.role, "content": [block.to_json() for block in self.content]}


class Input(Struct):
    """The unrendered input of an inference; ``system`` is text, arguments or absent."""

    messages: list[InputMessage]
    system: str | JsonObject | None = None

    def to_json(self) -> JsonObject:
        """The stored form: ``system`` left out when absent, files as storage pointers."""
        messages = [message.to_json() for message in self.messages]
        if self.system is None:
            return {"messages": messages}
        return {"system": self.system, "messages": messages}


class Message(Struct):
    """One rendered message, as providers see it."""

    role: Role
    content: list[ModelBlock]

    def to_json(self) -> JsonObject:
        return {"role": self.role, "content": [block.to_json() for block in self.content]}
