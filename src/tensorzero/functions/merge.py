"""Puts the chunks of a stream together to the answer that is recorded."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.model import (
    ChunkBlock,
    ProviderChunk,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
)
from tensorzero.types.usage import FinishReason, RawUsage, Usage

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Block:
    """One block in the making; parts are joined at the end."""

    kind: str
    id: str
    parts: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    summaries: dict[str, list[str]] = field(default_factory=dict)
    provider_type: str | None = None
    extra_data: Any = None
    unknown: Unknown | None = None
    worded: bool = False

    def build(self) -> OutputBlock:
        if self.kind == "text":
            return Text("".join(self.parts))
        if self.kind == "tool_call":
            return ToolCall(self.id, "".join(self.name), "".join(self.parts))
        if self.kind == "unknown" and self.unknown is not None:
            return self.unknown
        summary = [
            {"type": "summary_text", "text": "".join(texts)} for texts in self.summaries.values()
        ]
        return Thought(
            "".join(self.parts) if self.parts or self.worded else None,
            "".join(self.signature) if self.signature else None,
            summary or None,
            self.provider_type,
            self.extra_data,
        )


class StreamMerger:
    """Collects a stream: blocks by (type, id), figures by maximum, the last finish reason.

    ``json``: all text and argument deltas make one raw text, all thoughts one thought.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.usage = Usage()
        self.raw_usage: RawUsage | None = None
        self.finish_reason: FinishReason | None = None
        self.events: list[str] = []
        self._blocks: dict[tuple[str, str], _Block] = {}
        # A thought that its vendor shows as an empty text is another than one without text.
        self._empty_thoughts: set[str] = set()

    def add(self, chunk: ProviderChunk) -> str | None:
        """Take a chunk in; for json functions returns its delta of the raw text."""
        if chunk.raw:
            self.events.append(chunk.raw)
        if chunk.usage is not None:
            shrunk = self.usage.raise_to(chunk.usage)
            if shrunk:
                log.warning("a stream's usage shrank: %s", ", ".join(shrunk))
        if chunk.raw_usage is not None:
            self.raw_usage = chunk.raw_usage
        if chunk.finish_reason is not None:
            self.finish_reason = chunk.finish_reason
        if self.json:
            return self._add_json(chunk.content)
        for block in chunk.content:
            self._add_block(block)
        return None

    def _add_json(self, content: list[ChunkBlock]) -> str | None:
        delta: str | None = None
        for block in content:
            if isinstance(block, TextChunk):
                delta = block.text
            elif isinstance(block, ToolCallChunk):
                delta = block.raw_arguments
            elif isinstance(block, ThoughtChunk):
                self._add_thought(block, "")
            else:
                self._add_block(block)
        if delta:
            self._block("text", "").parts.append(delta)
        return delta

    def _add_block(self, block: ChunkBlock) -> None:
        if isinstance(block, TextChunk):
            if block.text:
                self._block("text", block.id).parts.append(block.text)
        elif isinstance(block, ToolCallChunk):
            target = self._block("tool_call", block.id)
            if block.raw_name:
                target.name.append(block.raw_name)
            target.parts.append(block.raw_arguments)
        elif isinstance(block, ThoughtChunk):
            self._add_thought(block, block.id)
        else:
            self._block("unknown", block.id).unknown = Unknown(
                block.data, block.model_name, block.provider_name
            )

    def _add_thought(self, block: ThoughtChunk, block_id: str) -> None:
        if not (block.text or block.signature or block.summary_text or block.extra_data):
            if block.text is not None:
                self._empty_thoughts.add(block_id)
            return
        target = self._block("thought", block_id)
        target.worded |= block.text is not None or block_id in self._empty_thoughts
        if block.text:
            target.parts.append(block.text)
        if block.signature:
            target.signature.append(block.signature)
        if block.summary_text:
            target.summaries.setdefault(block.summary_id or "0", []).append(block.summary_text)
        if block.provider_type is not None:
            target.provider_type = block.provider_type
        if block.extra_data is not None:
            target.extra_data = block.extra_data

    def _block(self, kind: str, block_id: str) -> _Block:
        key = (kind, block_id)
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = _Block(kind, block_id)
        return block

    def texts(self, block_id: str) -> list[str]:
        """The texts of a block so far, to be added to: what ``add`` does with a chunk that is one
        text. Its event goes to ``events``."""
        return self._block("text", "" if self.json else block_id).parts

    def output(self) -> list[OutputBlock]:
        """The merged blocks in order of first occurrence."""
        return [block.build() for block in self._blocks.values()]

    def raw_response(self) -> str:
        """The events' payloads, one a line."""
        return "\n".join(self.events)
