"""Every field of every type's answers and events, replaced by what no vendor should send: it is
read or refused, and whatever was read can be written again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import orjson
import pytest
from msgspec import Struct, structs

from providers import calls
from providers.calls import MODEL_INFERENCE_ID, request, user
from providers.matrix import ROWS, Ask, Wire
from tensorzero.functions.merge import StreamMerger
from tensorzero.providers.aws.event_stream import Frame
from tensorzero.providers.failures import UNREADABLE
from tensorzero.providers.http import Answer, HttpProvider
from tensorzero.types import json_text
from tensorzero.types.model import Attempt, ProviderChunk
from upstream.scripted import answer, event, stream

ATTEMPT = Attempt("m", "p", MODEL_INFERENCE_ID, {})
DONE = b"[DONE]"
HUGE = 10**40


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


VALUES = (
    None,
    HUGE,
    "",
    "x",
    [],
    {},
    -1,
    1.5,
    True,
    ["x"],
    {"x": 1},
    [None],
    "\ud800",
    nested(300),
)
TEXTS = ("text", "signature", "name", "arguments", "id", "raw_name", "raw_arguments")


def mutations(value: Any) -> Iterator[bytes]:
    """The JSON text with each of its parts replaced by each of ``VALUES``, or left out."""
    for path in paths(value):
        for other in VALUES:
            yield json.dumps(changed(value, path, lambda _, other=other: other)).encode()
        if path and isinstance(path[-1], str):
            yield json.dumps(changed(value, path[:-1], without(path[-1]))).encode()


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*path, key))


def changed(value: Any, path: tuple[str | int, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copy = deepcopy(value)
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = change(inner[path[-1]])
    return copy


def without(key: str) -> Callable[[Any], Any]:
    return lambda fields: {name: one for name, one in fields.items() if name != key}


def check(blocks: Any, *more: Any) -> None:
    """Texts are texts, and everything can be written."""
    for block in blocks:
        for name in TEXTS:
            assert isinstance(getattr(block, name, None), str | None), (block, name)
    orjson.dumps([*blocks, *more], default=_fields)


def _fields(value: Struct) -> dict[str, Any]:
    return structs.asdict(value)


@pytest.fixture
def provider(row: str, monkeypatch: pytest.MonkeyPatch) -> HttpProvider:
    """The provider that a row of the matrix calls."""
    made: list[Any] = []

    def keep(*given: Any) -> Any:
        made.append(make(*given))
        return made[0]

    make = calls.make_provider
    monkeypatch.setattr(calls, "make_provider", keep)
    ask, wire = ROWS[row]
    ask(request(), answer(wire.text))
    found = made[0]
    assert isinstance(found, HttpProvider)
    return found


def read(provider: HttpProvider, body: bytes) -> Answer:
    plain = provider.plain_answer(body)
    return provider.answer(json_text.loads(body), ATTEMPT) if plain is None else plain


@pytest.mark.parametrize("row", ROWS)
def test_answers(row: str, provider: HttpProvider) -> None:
    wire = ROWS[row][1]
    tried = understood = 0
    for given in (wire.text, wire.tools(2), wire.thought):
        for body in mutations(given):
            tried += 1
            try:
                found = read(provider, body)
            except UNREADABLE:
                continue
            understood += 1
            check(found.output, found.raw_usage)
    assert understood > 20
    assert tried - understood > 20


@pytest.mark.parametrize("row", ROWS)
def test_events(row: str, provider: HttpProvider) -> None:
    wire = ROWS[row][1]
    splitter = provider.splitter()
    events = [one for one in splitter.feed(b"".join([*wire.events, *wire.ends])) if one != DONE]
    assert len(events) > 1
    failed = 0
    for at, given in enumerate(events):
        for body in mutations(orjson.loads(bytes(given))):
            reader = provider.reader_for(request(stream=True), ATTEMPT)
            merger = StreamMerger(json=False)
            chunks = [reader.chunk(one) for one in events[:at]]
            other = Frame(body, given.event_type) if isinstance(given, Frame) else body
            try:
                chunks.append(reader.chunk(other))
            except UNREADABLE:
                failed += 1
            for chunk in chunks:
                if chunk is not None:
                    merger.add(chunk)
                    check(chunk.content, chunk.raw_usage)
            check(merger.output())
    assert failed > 20


@pytest.mark.parametrize("depth", [300, 100_000])
@pytest.mark.parametrize("row", ROWS)
def test_depths(row: str, depth: int) -> None:
    ask: Ask
    wire: Wire
    ask, wire = ROWS[row]
    deep = b"[" * depth + b"]" * depth
    for name in (b"matrix_extra", b"usage", b"usageMetadata"):
        body = orjson.dumps(wire.text)[:-1] + b',"' + name + b'":' + deep + b"}"
        outcome = ask(request(), answer(body))
        if outcome.response is not None:
            usage = outcome.response.raw_usage
            check(outcome.response.output, None if usage is None else usage.to_json())
    if wire.framed:
        return
    first = ask(request(stream=True), stream(event(deep), *wire.events, *wire.ends)).items
    texts = [one for one in first if isinstance(one, ProviderChunk) and one.content]
    assert texts, "the events after one that is refused are read"


@pytest.mark.parametrize("row", ROWS)
def test_a_text_that_is_no_unicode(row: str) -> None:
    """A template may make one."""
    ask, wire = ROWS[row]
    for given in (request(user("\ud800")), request(user("a"), system="\ud800")):
        outcome = ask(given, answer(wire.text))
        assert (outcome.failed().kind, outcome.seen) == ("Serialization", [])
