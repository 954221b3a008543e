"""Regular expressions of evaluators."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.config.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("b", "abc", "ac"),
        (r"(?i)password\s*[:=]", "my PassWord : x", "passwords"),
        (r"^\w+$", "éa_1٣", "a-b"),
        (r"^\W$", "-", "é"),
        (r"^[\w-]+$", "é-a", "a b"),
        (r"^\d$", "٣", "x"),
        (r"^[\D]$", "x", "٣"),
        (r"^\s\S$", "\u00a0x", "xx"),
        (r"a.b", "a\rb", "a\nb"),
        (r"(?s)a.b", "a\nb", "ab"),
        (r"(?s:a.b).", "a\nbc", "a\nb\n"),
        (r"(?s)a(?-s:.)b", "axb", "a\nb"),
        (r"(a(?s).)b|c.d", "a\nb", "c\nd"),
        (r"[.]", ".", "x"),
        (r"[]a]", "]", "b"),
        (r"[^]a]", "b", "]"),
        (r"\.", ".", "x"),
        (r"\\w", "\\w", "w"),
        (r"\bé\b", "é", "aéa"),
        (r"\p{Lu}", "É", "é"),
        (r"(?P<name>x)", "x", "y"),
    ],
)
def test_what_a_pattern_means(pattern: str, matching: str, other: str) -> None:
    compiled = Pattern(pattern)
    assert compiled.search(matching)
    assert not compiled.search(other)


@pytest.mark.parametrize(
    "pattern", ["(", "a)", "[", "(?=a)", "(?!a)", "(?<=a)", r"(a)\1", "*", "x{9999999}"]
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        Pattern(pattern)


def test_a_search_takes_linear_time() -> None:
    started = time.monotonic()
    assert not Pattern(r"(a+)+$").search("a" * 20_000 + "b")
    assert time.monotonic() - started < 10


PIECES = st.lists(
    st.sampled_from(
        ["a", "b", ".", r"\d", r"\w", r"\s", "[ab]", "[^a]", "(?:a|b)", "a*", "b+", ".?", "^", "$"]
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(PIECES, st.sampled_from(["", "(?i)", "(?s)"]), st.text("aAb1 \n", max_size=6))
def test_it_agrees_with_another_engine_on_what_both_know(
    pieces: list[str], flags: str, text: str
) -> None:
    pattern = flags + "".join(pieces)
    # Python's `$` also matches before a last newline.
    expected = re.search(pattern.replace("$", r"\Z"), text) is not None
    assert Pattern(pattern).search(text) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_pattern_or_an_error(text: str) -> None:
    try:
        Pattern(text).search("some text")
    except ValueError as error:
        assert "is not a regular expression" in str(error)
