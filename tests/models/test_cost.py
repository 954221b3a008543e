"""Costs: exact sums over the figures of a provider's raw answer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from models.calls import ask
from models.test_routing import GOOD
from tensorzero.config.model import CostEntry
from tensorzero.models.cost import response_cost, stream_cost


def entry(pointer: str, rate: str, required: bool = False) -> CostEntry:
    return CostEntry(pointer, pointer, Decimal(rate), required)


INPUT = entry("/usage/prompt_tokens", "0.0000015", True)
OUTPUT = entry("/usage/completion_tokens", "0.000002", True)
CACHED = entry("/usage/details/cached", "-0.00000075")


def cost(entries: Any, body: Any) -> Decimal | None:
    text = body if isinstance(body, str) else orjson.dumps(body).decode()
    return response_cost(None if entries is None else tuple(entries), text)


def usage(**fields: Any) -> dict[str, Any]:
    return {"usage": fields}


def test_the_sum_is_exact() -> None:
    body = usage(prompt_tokens=1000, completion_tokens=3, details={"cached": 100})
    assert cost([INPUT, OUTPUT, CACHED], body) == Decimal("0.001431")
    assert cost([entry("/n", "0.1")] * 3, {"n": 1}) == Decimal("0.3")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, "4"),
        (0.5, "1.0"),
        ("2", "4"),
        ("1.5", "3.0"),
        ("1e3", "2000"),
        (-3, "-6"),
        (0, "0"),
    ],
)
def test_figures(value: Any, expected: str) -> None:
    assert cost([entry("/n", "2"), entry("/plus", "1")], {"n": value, "plus": 6}) == (
        Decimal(expected) + 6
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        {},
        [],
        "",
        "abc",
        "1_000",
        " 1",
        "NaN",
        "Infinity",
        "1e9999",
        "0x10",
        "\u0661",
    ],
)
@pytest.mark.parametrize("required", [False, True])
def test_what_is_no_figure_makes_the_cost_unknown(
    value: Any, required: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert cost([entry("/n", "2", required)], {"n": value}) is None
    assert "cost unknown" in caplog.text


def test_what_is_missing() -> None:
    assert cost([entry("/n", "2"), entry("/m", "3")], {"m": 1}) == 3
    assert cost([entry("/n", "2", True), entry("/m", "3")], {"m": 1}) is None
    assert cost([entry("/list/1/n", "2"), entry("/m/x", "1")], {"list": [{}, {"n": 3}]}) == 6
    assert cost([entry("/list/2/n", "2"), entry("", "1", True)], {"list": []}) is None


@pytest.mark.parametrize("body", ["", "not JSON", '{"usage":'])
def test_an_answer_that_is_not_json(body: str) -> None:
    assert cost([entry("/n", "2")], body) is None


def test_no_entries_and_no_price() -> None:
    assert cost([], "whatever") == 0
    assert cost(None, {"n": 1}) is None
    assert stream_cost((), ["x"]) == 0
    assert stream_cost(None, []) is None


def test_no_negative_and_no_absurd_sum(caplog: pytest.LogCaptureFixture) -> None:
    assert cost([entry("/n", "-2")], {"n": 1}) is None
    assert "negative" in caplog.text
    assert cost([entry("/n", "1")], {"n": 10**9}) is None
    assert cost([entry("/n", "1")], {"n": 1e300}) is None
    assert cost([entry("/n", "1")], {"n": 999_999_999}) == 999_999_999


def test_a_stream_counts_the_largest_figure_of_each_pointer() -> None:
    events = [
        '{"usage":null}',
        '{"usage":{"in":5,"out":1}}',
        "not JSON",
        '{"usage":{"in":"3","out":7}}',
        '{"usage":{"in":4,"out":2}}',
    ]
    entries = (
        CostEntry("/unused", "/usage/in", Decimal(1), True),
        CostEntry("/unused", "/usage/out", Decimal(10), True),
    )
    assert stream_cost(entries, events) == 75
    assert stream_cost(entries, events[:1]) is None
    assert stream_cost((entry("/usage/in", "1"),), events[:1]) == 0
    assert stream_cost((entry("/usage/in", "1"),), ['{"usage":{"in":"x"}}']) is None


def test_the_cost_of_an_answer_comes_with_it() -> None:
    asked = ask({"p": GOOD}, providers={"p": {"cost": (INPUT, OUTPUT)}})
    assert asked.answered().response.usage.cost == Decimal("0.0000125")
    assert ask({"p": GOOD}).answered().response.usage.cost is None
    assert ask({"p": GOOD}, providers={"p": {"cost": ()}}).answered().response.usage.cost == 0
