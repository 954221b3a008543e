"""Vectors as JSON: the same numbers, shortly written."""

from __future__ import annotations

import json
import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tzcore.vectors import vector_json

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, max_size=40))
def test_numbers_survive(numbers: list[float]) -> None:
    vector = array("f", numbers).tobytes()
    read = json.loads(vector_json(vector))
    assert array("f", read).tobytes() == vector


@given(st.integers(-999_999, 999_999), st.integers(0, 12))
def test_short_decimals_stay_short(digits: int, exponent: int) -> None:
    """What was written with six digits is read with six."""
    number = float(f"{digits}e-{exponent}")
    (written,) = json.loads(vector_json(struct.pack("=f", number)))
    assert written == number


def test_refusals() -> None:
    for number in (float("inf"), float("-inf"), float("nan")):
        with pytest.raises(ValueError, match="not finite"):
            vector_json(struct.pack("=ff", 1.0, number))
    with pytest.raises(ValueError, match="four bytes"):
        vector_json(b"abc")
    assert vector_json(b"") == b"[]"
