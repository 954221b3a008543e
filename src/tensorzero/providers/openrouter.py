"""``type = "openrouter"``: reasoning goes both ways as a list of details."""

from __future__ import annotations

import logging
from typing import Any

from tensorzero.providers.chat_completions.answers import AnswerReader, as_list, as_string, as_text
from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.chat_completions.messages import MessageMapper
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider, Source
from tensorzero.types.content import Thought
from tensorzero.types.files import File
from tensorzero.types.model import ChunkBlock, ModelRequest, ThoughtChunk

log = logging.getLogger(__name__)

NAME = "TensorZero"
HOMEPAGE = "https://www.tensorzero.com/"


def _read_detail(detail: Any) -> Thought | None:
    """One element of ``reasoning_details``; ``None`` for a kind that is not known."""
    if not isinstance(detail, dict):
        raise ValueError("a reasoning detail is not an object")
    kind = detail.get("type")
    named = detail.get("format")
    extra = {"format": named} if named is not None else None
    if kind == "reasoning.text":
        text = as_text(detail.get("text"), "text")
        return Thought(text, as_text(detail.get("signature"), "signature"), extra_data=extra)
    if kind == "reasoning.summary":
        summary = {"type": "summary_text", "text": as_string(detail.get("summary"), "summary")}
        return Thought(summary=[summary], extra_data=extra)
    if kind == "reasoning.encrypted":
        data = as_string(detail.get("data"), "data")
        return Thought(signature=data, extra_data={"format": named, "encrypted": True})
    log.warning("openrouter sent a reasoning detail of an unknown type: %r", kind)
    return None


class OpenRouterAnswers(AnswerReader):
    """Complete answers."""

    def thoughts(self, message: dict[str, Any]) -> list[Thought]:
        found = []
        for detail in as_list(message.get("reasoning_details") or [], "reasoning_details"):
            thought = _read_detail(detail)
            if thought is not None:
                thought.provider_type = self.thought_type
                found.append(thought)
        return found


class OpenRouterReader(ChatCompletionsReader):
    """One stream."""

    def thoughts(self, delta: dict[str, Any], content: list[ChunkBlock]) -> None:
        details = as_list(delta.get("reasoning_details") or [], "reasoning_details")
        for position, detail in enumerate(details):
            thought = _read_detail(detail)
            if thought is None:
                continue
            index = detail.get("index")
            chunk = ThoughtChunk(
                str(position if index is None else index),
                thought.text,
                thought.signature,
                provider_type=self.answers.thought_type,
                extra_data=thought.extra_data,
            )
            if thought.summary:
                chunk.summary_id = chunk.id
                chunk.summary_text = thought.summary[0]["text"]
            content.append(chunk)


class OpenRouterMessages(MessageMapper):
    """Thoughts of OpenRouter's own go back as they came; others are not sent."""

    sends_thoughts_alone = True

    def thought_fields(self, thoughts: list[Thought]) -> dict[str, Any]:
        details: list[dict[str, Any]] = []
        for thought in thoughts:
            if thought.provider_type == self.provider_type:
                details.extend(_details(thought))
            else:
                log.warning("a thought block that is not from openrouter is not sent")
        return {"reasoning_details": details} if details else {}


def _details(thought: Thought) -> list[dict[str, Any]]:
    extra = thought.extra_data if isinstance(thought.extra_data, dict) else {}
    named = extra.get("format")
    if extra.get("encrypted"):
        if thought.signature is None:
            return []
        data = {"data": thought.signature, "format": "raw" if named is None else named}
        return [{"type": "reasoning.encrypted", **data}]
    common = {} if named is None else {"format": named}
    details: list[dict[str, Any]] = []
    said = {"text": thought.text, "signature": thought.signature}
    given = {key: value for key, value in said.items() if value is not None}
    if given:
        details.append({"type": "reasoning.text", **given, **common})
    for block in thought.summary or ():
        details.append({"type": "reasoning.summary", "summary": block["text"], **common})
    return details


class OpenRouterProvider(ChatCompletionsProvider):
    """OpenRouter's API."""

    type = "openrouter"
    display_name = "OpenRouter"
    api_base = "https://openrouter.ai/api/v1"
    keys = (
        "model temperature max_completion_tokens seed top_p presence_penalty frequency_penalty "
        "stream stream_options response_format tools tool_choice parallel_tool_calls stop "
        "reasoning verbosity"
    )
    restricts_tools = True
    model_rules = frozenset({"3.5", "o1", "o1-mini"})
    message_mapper = OpenRouterMessages
    answer_reader = OpenRouterAnswers
    stream_reader = OpenRouterReader

    def fixed_headers(self) -> list[tuple[str, str]]:
        return [("x-title", NAME), ("http-referer", HOMEPAGE)]

    def takes(self, parameter: str) -> bool:
        return parameter in ("reasoning_effort", "thinking_budget_tokens", "verbosity")

    def source(self, key: str) -> Source:
        return _reasoning if key == "reasoning" else super().source(key)

    def inlines(self, file: File, request: ModelRequest) -> bool:
        inlined = super().inlines(file, request)
        if not inlined and file.mime_type is None:
            log.info("openrouter is sent the URL of a file as an image: give its `mime_type`")
        return inlined


def _reasoning(request: ModelRequest) -> dict[str, Any] | None:
    params = request.params
    reasoning: dict[str, Any] = {}
    if params.reasoning_effort is not None:
        reasoning["effort"] = params.reasoning_effort
    if params.thinking_budget_tokens is not None:
        reasoning["max_tokens"] = params.thinking_budget_tokens
    return reasoning or None
