"""Thoughts between ``<think>`` and ``</think>``, in answers, streams and messages.

Source: the contract's page on the OpenAI-like family, section 7.3. In streams a tag may stand
anywhere in a delta, or be spread over several.
"""

from __future__ import annotations

from typing import Any, Literal

from tensorzero.providers.chat_completions.answers import AnswerReader, as_string
from tensorzero.providers.chat_completions.deltas import read_text_delta
from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.chat_completions.messages import MessageMapper
from tensorzero.providers.http import Answer
from tensorzero.types.content import OutputBlock, Text, Thought
from tensorzero.types.errors import InvalidMessage
from tensorzero.types.model import ChunkBlock, ProviderChunk, TextChunk, ThoughtChunk

OPEN, CLOSE = "<think>", "</think>"
TAGS = {"reasoning_format": "think_tags"}
FIELD = {"reasoning_format": "reasoning_field"}


class ThinkAnswers(AnswerReader):
    """Complete answers."""

    def plain(self, body: bytes) -> Answer | None:
        answer = super().plain(body)
        if answer is not None:
            text = answer.output[0]
            if isinstance(text, Text) and (OPEN in text.text or CLOSE in text.text):
                return None
        return answer

    def thoughts(self, message: dict[str, Any]) -> list[Thought]:
        thoughts = super().thoughts(message)
        for thought in thoughts:
            thought.extra_data = dict(FIELD)
        return thoughts

    def content(self, content: Any) -> list[OutputBlock]:
        text = as_string(content, "content")
        opened, closed = text.count(OPEN), text.count(CLOSE)
        if not opened and not closed:
            return [Text(text)]
        if opened > 1:
            raise ValueError(f"Found {opened} `{OPEN}` tags in the answer, expected at most 1")
        before, _, rest = text.partition(OPEN)
        inner, found, after = rest.partition(CLOSE)
        if opened != closed or not found:
            raise ValueError(f"Mismatched `{OPEN}` and `{CLOSE}` tags in the answer")
        output: list[OutputBlock] = [
            Thought(inner, provider_type=self.thought_type, extra_data=dict(TAGS))
        ]
        if before or after:
            output.append(Text(before + after))
        return output


class ThinkReader(ChatCompletionsReader):
    """One stream. Text before the thought is block ``0``, the thought ``1``, text after it ``2``;
    a reasoning field is block ``3``."""

    thought_id = "3"
    read_text = None  # a text may be a thought, or the beginning of one

    def __init__(self, answers: AnswerReader, model_inference_id: str) -> None:
        super().__init__(answers, model_inference_id)
        self._state: Literal["before", "inside", "after"] = "before"
        self._held = ""
        """The end of the text so far, where it may be the beginning of a tag."""

    def chunk(self, event: bytes) -> ProviderChunk:
        text = read_text_delta(event)
        if text is None:
            return self.any_chunk(event)
        content: list[ChunkBlock] = []
        self.add_text(text.text, content)
        return ProviderChunk(content, event.decode("utf-8", "replace"))

    def any_chunk(self, event: bytes) -> ProviderChunk:
        chunk = super().any_chunk(event)
        if chunk.finish_reason is not None and self._held:
            # The text is complete: what looked like the beginning of a tag was none.
            rest, self._held = self._held, ""
            chunk.content.append(self._block(rest))
        return chunk

    def thoughts(self, delta: dict[str, Any], content: list[ChunkBlock]) -> None:
        before = len(content)
        super().thoughts(delta, content)
        for block in content[before:]:
            if isinstance(block, ThoughtChunk):
                block.extra_data = dict(FIELD)

    def add_text(self, text: Any, content: list[ChunkBlock]) -> None:
        text = as_string(text, "content")
        if not self._held and "<" not in text:
            content.append(self._block(text))
            return
        text, self._held = self._held + text, ""
        while True:
            at, tag = _first_tag(text)
            if tag is None:
                kept = _tag_beginning(text)
                if kept:
                    text, self._held = text[:-kept], text[-kept:]
                if text:
                    content.append(self._block(text))
                return
            if at:
                content.append(self._block(text[:at]))
            self._turn(tag)
            text = text[at + len(tag) :]

    def _turn(self, tag: str) -> None:
        if self._state == "before" and tag == OPEN:
            self._state = "inside"
        elif self._state == "inside" and tag == CLOSE:
            self._state = "after"
        else:
            raise ValueError(f"Unexpected `{tag}` in the stream ({self._state} the thought)")

    def _block(self, text: str) -> ChunkBlock:
        if self._state == "inside":
            thought_type = self.answers.thought_type
            return ThoughtChunk("1", text, provider_type=thought_type, extra_data=dict(TAGS))
        return TextChunk("0" if self._state == "before" else "2", text)


def _first_tag(text: str) -> tuple[int, str | None]:
    found = [(at, tag) for tag in (OPEN, CLOSE) if (at := text.find(tag)) >= 0]
    return min(found) if found else (0, None)


def _tag_beginning(text: str) -> int:
    """How many characters at the end may be the beginning of a tag."""
    for size in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if OPEN.startswith(text[-size:]) or CLOSE.startswith(text[-size:]):
            return size
    return 0


class ThinkMessages(MessageMapper):
    """Thoughts go back in the form in which they came."""

    def thought_text(self, thoughts: list[Thought]) -> str | None:
        texts = [
            thought.text
            for thought in thoughts
            if thought.text is not None and _format(thought) == TAGS["reasoning_format"]
        ]
        joined = "\n\n".join(texts)
        return f"{OPEN}{joined}{CLOSE}" if texts else None

    def thought_fields(self, thoughts: list[Thought]) -> dict[str, Any]:
        return super().thought_fields(
            [one for one in thoughts if _format(one) != TAGS["reasoning_format"]]
        )


def _format(thought: Thought) -> str | None:
    """The ``reasoning_format`` of a thought; raises ``InvalidMessage`` for one of no such name."""
    data = thought.extra_data
    name = data.get("reasoning_format") if isinstance(data, dict) else None
    if name is None or name in (TAGS["reasoning_format"], FIELD["reasoning_format"]):
        return name
    raise InvalidMessage(f"A thought has an unknown `reasoning_format`: {name!r}")
