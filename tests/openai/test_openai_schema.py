"""The checks that all tests here pass their answers through can fail."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from openai_support import (
    EMBEDDING,
    MODEL,
    Frames,
    OpenAIApi,
    check_answer,
    check_chunk,
    check_completion,
    check_embeddings,
)


def broken(body: Any, path: str, value: Any = None) -> Any:
    """A copy with the value at a path like ``choices.0.logprobs`` replaced, or removed."""
    made = copy.deepcopy(body)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target = made
    for part in way:
        target = target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return made


FAULTS: list[tuple[str, Any]] = [
    ("id", 5),
    ("object", "text"),
    ("created", "now"),
    ("model", None),
    ("choices", []),
    ("choices.0.finish_reason", "tool_call"),
]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *FAULTS,
        ("choices.0.logprobs", None),
        ("choices.0.message.refusal", None),
        ("choices.0.message.content", 5),
        ("choices.0.message.role", "user"),
        ("usage.prompt_tokens", "1"),
    ],
)
def test_answers(api: OpenAIApi, path: str, value: Any) -> None:
    body = api.completion(MODEL + "dummy::text")
    check_completion(body)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_completion(broken(body, path, value))


@pytest.mark.parametrize(
    ("path", "value"), [*FAULTS, ("choices.0.logprobs", None), ("usage", None)]
)
def test_chunks(api: OpenAIApi, path: str, value: Any) -> None:
    frame = api.frames(MODEL + "dummy::text")[0]
    check_chunk(frame)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_chunk(broken(frame, path, value))


def test_streams(api: OpenAIApi) -> None:
    frames = api.frames(MODEL + "dummy::text?chunks=3")
    swapped = [frames[1], frames[0], *frames[2:]]
    other = [frames[0], {**frames[1], "id": "x"}, *frames[2:]]
    for series in (swapped, other):
        checker = Frames()
        with pytest.raises(AssertionError):
            for frame in series:
                checker.feed(b"data: " + json.dumps(frame).encode() + b"\n\n")
            checker.feed(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("path", "value"),
    [("object", "x"), ("data.0.index", 3), ("data.0.embedding", ["a"]), ("usage", None)],
)
def test_embeddings(api: OpenAIApi, path: str, value: Any) -> None:
    body = api.embed({"model": EMBEDDING + "small", "input": "x"}).json()
    check_embeddings(body)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_embeddings(broken(body, path, value))


def test_errors() -> None:
    check_answer("/openai/v1/embeddings", 404, b'{"error":{"message":"x"}}')
    for body in (b'{"error":"x"}', b'{"error":{"message":"x","type":"y"}}'):
        with pytest.raises((AssertionError, TypeError)):
            check_answer("/openai/v1/embeddings", 404, body)
