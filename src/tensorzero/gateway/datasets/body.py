"""Bodies with a list of datapoints, which may be large."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from tensorzero.gateway.fields import fault, items, required, uuid
from tensorzero.gateway.json_body import json_object, load_json
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import JsonRequest

SPLIT_BYTES = 262_144
"""A longer body is cut into its datapoints before any of them is made into objects."""


T = TypeVar("T")


class _Body(msgspec.Struct):
    datapoints: list[msgspec.Raw]


_SPLIT = msgspec.json.Decoder(_Body)


class SentDatapoints(Generic[T]):
    """The elements of ``datapoints``. Those of a large body are parsed each time that they are
    asked for: objects take many times the memory of their text."""

    def __init__(self, parse: Callable[[Any, str], T], values: Sequence[Any]) -> None:
        """``values``: JSON values, or what ``_SPLIT`` gives."""
        self._parse = parse
        self._values = values

    @classmethod
    async def read(
        cls, body: bytes, parse: Callable[[Any, str], T], turns: Turns
    ) -> SentDatapoints[T]:
        """Raises ``JsonRequest``: the body's, and what ``parse`` raises for any element."""
        pieces: Sequence[Any] | None = None
        if len(body) >= SPLIT_BYTES:
            try:
                pieces = _SPLIT.decode(body).datapoints
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pieces = None  # the other parser says what is wrong, in its words
        if pieces is None:
            pieces = items(required(json_object(body), "datapoints", ""), "datapoints")
        sent = cls(parse, pieces)
        for _ in sent:
            await turns.offer()
        return sent

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[T]:
        for at, value in enumerate(self._values):
            path = f"datapoints[{at}]"
            if isinstance(value, msgspec.Raw):
                try:
                    value = load_json(bytes(value))
                except JsonRequest as error:
                    raise fault(path, str(error)) from None
            yield self._parse(value, path)


def parse_ids(body: bytes, key: str) -> list[str]:
    """The UUIDs of a body that holds nothing else; raises ``JsonRequest``."""
    values = items(required(json_object(body), key, ""), key)
    return [uuid(value, f"{key}[{at}]") for at, value in enumerate(values)]
