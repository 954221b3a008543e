"""The dummy's answers in the Chat Completions form, so that costs and records look real."""

from __future__ import annotations

from typing import Any

from tensorzero.types.content import Message, OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.files import File
from tensorzero.types.model import (
    ChunkBlock,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.usage import FinishReason, Usage

FINISH_ON_WIRE = {"tool_call": "tool_calls"}


def wire_usage(usage: Usage) -> dict[str, int] | None:
    """``usage`` of an answer; ``None`` where the model was told to say nothing."""
    if usage.input_tokens is None:
        return None
    prompt, completion = usage.input_tokens, usage.output_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def wire_messages(system: str | None, messages: list[Message]) -> list[dict[str, Any]]:
    """Messages as they are recorded: blocks in their own JSON form, files by number."""
    out: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    files = 0
    for message in messages:
        content: list[Any] = []
        for block in message.content:
            if isinstance(block, File) and block.data is not None:
                content.append({"type": "file", "data": f"<TENSORZERO_FILE_{files}>"})
                files += 1
            else:
                content.append(block.to_json())
        only = message.content[0] if len(message.content) == 1 else None
        out.append(
            {"role": message.role, "content": only.text if isinstance(only, Text) else content}
        )
    return out


def wire_answer(
    model_name: str, output: list[OutputBlock], usage: Usage, finish: FinishReason
) -> dict[str, Any]:
    """A complete answer."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls = []
    for block in output:
        if isinstance(block, Text):
            message["content"] = (message["content"] or "") + block.text
        elif isinstance(block, Thought):
            message["reasoning_content"] = block.text
        elif isinstance(block, ToolCall):
            function = {"name": block.name, "arguments": block.arguments}
            calls.append({"id": block.id, "type": "function", "function": function})
        else:
            message["unknown"] = block.data
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": FINISH_ON_WIRE.get(finish, finish)}
    body: dict[str, Any] = {"object": "chat.completion", "model": model_name, "choices": [choice]}
    figures = wire_usage(usage)
    if figures is not None:
        body["usage"] = figures
    return body


def wire_chunk(delta: dict[str, Any], finish: FinishReason | None = None) -> dict[str, Any]:
    """One event of a stream."""
    choice: dict[str, Any] = {"index": 0, "delta": delta}
    if finish is not None:
        choice["finish_reason"] = FINISH_ON_WIRE.get(finish, finish)
    return {"object": "chat.completion.chunk", "choices": [choice]}


def pieces(output: list[OutputBlock], count: int) -> list[tuple[ChunkBlock, dict[str, Any]]]:
    """The output cut into at most ``count`` chunks a block, each with its delta on the wire."""
    out: list[tuple[ChunkBlock, dict[str, Any]]] = []
    calls = 0
    for block in output:
        if isinstance(block, Text):
            for part in _split(block.text, count):
                out.append((TextChunk("0", part), {"content": part}))
        elif isinstance(block, Thought):
            out.append(_thought(block))
        elif isinstance(block, ToolCall):
            for index, part in enumerate(_split(block.arguments, count)):
                name = block.name if index == 0 else None
                out.append(
                    (ToolCallChunk(block.id, name, part), _call_delta(block, name, part, calls))
                )
            calls += 1
        else:
            out.append(_unknown(block))
    return out


def _thought(block: Thought) -> tuple[ChunkBlock, dict[str, Any]]:
    chunk = ThoughtChunk("1", block.text, block.signature, provider_type=block.provider_type)
    return chunk, {"reasoning_content": block.text}


def _unknown(block: Unknown) -> tuple[ChunkBlock, dict[str, Any]]:
    chunk = UnknownChunk("0", block.data, block.model_name, block.provider_name)
    return chunk, {"unknown": block.data}


def _call_delta(call: ToolCall, name: str | None, part: str, index: int) -> dict[str, Any]:
    if name is None:
        return {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
    function = {"name": name, "arguments": part}
    return {
        "tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]
    }


def _split(text: str, count: int) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]
