"""Names of dummy models: what is wrong with one is said, and the page lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tensorzero.types.dummy import BEHAVIOURS, INTEGER_OPTIONS, TEXT_OPTIONS, parse_dummy_model


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "unknown dummy behaviour ``"),
        ("nope", "expected one of text, echo, json"),
        ("Text", "unknown dummy behaviour `Text`"),
        ("text?nope=1", "unknown option `nope`"),
        ("text?flag", "unknown option `flag`"),
        ("text?latency_ms=-1", "a whole number from 0 to 3600000, not `-1`"),
        ("text?latency_ms=", "a whole number"),
        ("text?latency_ms=1.5", "a whole number"),
        ("text?latency_ms=9999999", "to 3600000"),
        ("text?latency_ms=" + "9" * 5000, "a whole number"),
        ("text?latency_ms=\u0663", "a whole number"),
        ("text?chunks=0", "from 1 to 10000"),
        ("tool_call?n=101", "from 1 to 100"),
        ("text?fail_every=0", "from 1"),
        ("text?error_rate=1.1", "takes 0 to 1"),
        ("text?error_rate=nan", "takes 0 to 1"),
        ("text?error_rate=x", "takes 0 to 1"),
        ("error?status=200", "from 300 to 599"),
        ("text?finish=done", "takes one of stop,"),
        ("text?usage=all", "takes `none` only"),
        ("text?template={nope}", "none of {user}, {system}"),
        ("text?template={user", "none of"),
        ("text?template=a}b", "none of"),
        ("text?template={user.x}", "none of"),
    ],
)
def test_wrong_names_say_what_would_be_right(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_dummy_model(name)


def test_the_documentation_names_every_behaviour_and_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "dummy.md").read_text()
    for name in (*BEHAVIOURS, *INTEGER_OPTIONS, *TEXT_OPTIONS, "error_rate"):
        assert f"`{name}`" in page, name
    rows = [line.split(" | ") for line in page.splitlines() if " to " in line]
    for name, (low, high) in INTEGER_OPTIONS.items():
        limit = "10⁹" if high == 10**9 else str(high)
        values = [row[1] for row in rows if f"`{name}`" in row[0]]
        assert name == "n" or values == [f"{low} to {limit}"], name
