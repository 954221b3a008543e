"""Complete answers of Gemini: the parts of the first candidate become blocks."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import orjson

from tensorzero.providers.failures import BadAnswer
from tensorzero.providers.gemini.figures import read_finish_reason, read_usage
from tensorzero.providers.http import Answer
from tensorzero.types.content import OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.model import Attempt
from tzcore.uuid7 import uuid7


class ReadPart(NamedTuple):
    """One part: a signature that stands for itself, then what it holds.

    ``value``: a text or ``None`` (text, thought), ``(name, arguments)`` (call), a JSON object
    (unknown, strange: data in a thought).
    """

    signature: str | None
    kind: Literal["text", "thought", "call", "unknown", "strange", "nothing"]
    value: Any = None


def read_part(part: Any) -> ReadPart:
    """Raises ``ValueError`` for a part that is none."""
    if not isinstance(part, dict):
        raise ValueError("a part is not an object")
    signature = part.get("thoughtSignature")
    if signature is not None and not isinstance(signature, str):
        raise ValueError("`thoughtSignature` is not a string")
    text = part.get("text")
    if text is not None and not isinstance(text, str):
        raise ValueError("`text` is not a string")
    rest = {k: v for k, v in part.items() if k not in ("thought", "thoughtSignature")}
    if part.get("thought") is True:
        if text is not None or not rest:
            return ReadPart(signature, "thought", text)
        whole = {"thought": True, "thoughtSignature": signature, **rest}
        return ReadPart(None, "strange", whole)
    call = part.get("functionCall")
    if isinstance(call, dict) and isinstance(call.get("name"), str):
        arguments = call.get("args")
        written = "{}" if arguments is None else orjson.dumps(arguments).decode()
        return ReadPart(signature, "call", (call["name"], written))
    if text is not None:
        return ReadPart(signature, "text", text)
    return ReadPart(signature, "unknown" if rest else "nothing", rest)


def read_answer(body: Any, attempt: Attempt, *, provider_type: str, display_name: str) -> Answer:
    """A complete answer; raises ``ValueError``."""
    candidate = first_candidate(body, display_name)
    output: list[OutputBlock] = []
    for item in candidate_parts(candidate):
        part = read_part(item)
        if part.kind == "thought":
            output.append(Thought(part.value, part.signature, provider_type=provider_type))
            continue
        if part.signature is not None:
            output.append(Thought(None, part.signature, provider_type=provider_type))
        if part.kind == "text":
            output.append(Text(part.value))
        elif part.kind == "call":
            output.append(ToolCall(uuid7(), *part.value))
        elif part.kind != "nothing":
            output.append(Unknown(part.value, attempt.model_name, attempt.provider_name))
    usage = body.get("usageMetadata")
    reason = read_finish_reason(candidate.get("finishReason"))
    return Answer(output, read_usage(usage), usage, reason)


def first_candidate(body: Any, display_name: str) -> dict[str, Any]:
    """Raises ``ValueError`` for a body without one, with the vendor's reason if it gives any."""
    if not isinstance(body, dict):
        raise ValueError("not an object")
    candidates = body.get("candidates")
    if candidates is None:
        raise ValueError(_without_candidates(body))
    if not isinstance(candidates, list):
        raise ValueError("`candidates` is not a list")
    if not candidates:
        raise BadAnswer(f"{display_name} response has no candidates")
    candidate = candidates[0]
    if not isinstance(candidate, dict):
        raise ValueError("a candidate is not an object")
    return candidate


def candidate_parts(candidate: dict[str, Any]) -> list[Any]:
    """Its parts; none for a candidate without content."""
    content = candidate.get("content")
    if content is None:
        return []
    if not isinstance(content, dict):
        raise ValueError("`content` is not an object")
    parts = content.get("parts")
    if parts is None:
        return []
    if not isinstance(parts, list):
        raise ValueError("`parts` is not a list")
    return parts


def block_reason(body: dict[str, Any]) -> str | None:
    """Why the vendor did not take the prompt."""
    feedback = body.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) else None


def _without_candidates(body: dict[str, Any]) -> str:
    reason = block_reason(body)
    if reason is not None:
        return f"missing field `candidates`: the prompt was blocked ({reason})"
    fault = body.get("error")
    shown = "" if fault is None else f": {orjson.dumps(fault).decode()}"
    return f"missing field `candidates`{shown}"
