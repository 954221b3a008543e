"""What passes between an embedding model and its providers.

Source: the contract's page on the OpenAI-like family, section 10.
"""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

from tensorzero.types.usage import RawResponse, RawUsage, Usage

EmbeddingInput = str | list[str] | list[int] | list[list[int]]
"""A text, texts, a text as token numbers, or several of those."""

EncodingFormat = Literal["float", "base64"]

Vector = bytes
"""Single-precision numbers in native byte order."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """One call of an embedding model, whatever the number of inputs."""

    input: EmbeddingInput
    dimensions: int | None = None
    encoding_format: EncodingFormat = "float"

    @property
    def count(self) -> int:
        """How many inputs; a list of token numbers is one."""
        given = self.input
        if isinstance(given, str):
            return 1
        return 1 if given and isinstance(given[0], int) else len(given)


@dataclass(slots=True)
class EmbeddingResponse:
    """A complete answer of a provider: one vector for each input, in their order."""

    id: str
    vectors: list[Vector]
    raw_request: str
    raw_response: str
    usage: Usage
    raw_usage: RawUsage | None
    response_time_ms: int


@dataclass(slots=True)
class EmbeddingResult:
    """A successful call. ``failed_raw``: bodies of the attempts before it."""

    response: EmbeddingResponse
    model_name: str
    provider_name: str
    provider_type: str
    failed_raw: list[RawResponse] = field(default_factory=list)


def read_vector(value: Any) -> Vector:
    """A vector of an answer, whichever form it has; raises ``ValueError`` and ``TypeError``."""
    if isinstance(value, str):
        try:
            data = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("an embedding is not base64") from None
        if len(data) % 4:
            raise ValueError("an embedding's base64 does not hold whole 32-bit numbers")
        numbers = array("f", data)
        if sys.byteorder == "big":
            numbers.byteswap()
    elif isinstance(value, list):
        numbers = array("f", value)
    else:
        raise ValueError("an embedding is neither a list of numbers nor base64")
    if not isfinite(sum(numbers)):
        raise ValueError("a number of an embedding is not finite")
    return numbers.tobytes()


def vector_base64(vector: Vector) -> str:
    """Little-endian numbers, as base64."""
    if sys.byteorder == "big":
        numbers = array("f", vector)
        numbers.byteswap()
        vector = numbers.tobytes()
    return base64.b64encode(vector).decode()
