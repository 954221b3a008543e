"""Bodies with a list of datapoints, which may be large."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from tensorzero.gateway.fields import fault, items, required, uuid
from tensorzero.gateway.json_body import json_object, load_json
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import JsonRequest

SPLIT_BYTES = 262_144
"""A longer body is cut into its datapoints before any of them is made into objects."""


class _Body(msgspec.Struct):
    datapoints: list[msgspec.Raw]


_SPLIT = msgspec.json.Decoder(_Body)


async def datapoint_items(body: bytes, turns: Turns) -> AsyncIterator[tuple[Any, str]]:
    """The elements of ``datapoints``, each with its path; raises ``JsonRequest``."""
    pieces = None
    if len(body) >= SPLIT_BYTES:
        try:
            pieces = _SPLIT.decode(body).datapoints
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pieces = None  # the other parser says what is wrong, in its words
    if pieces is None:
        values = items(required(json_object(body), "datapoints", ""), "datapoints")
        for at, value in enumerate(values):
            yield value, f"datapoints[{at}]"
            await turns.offer()
        return
    for at, piece in enumerate(pieces):
        path = f"datapoints[{at}]"
        try:
            value = load_json(bytes(piece))
        except JsonRequest as error:
            raise fault(path, str(error)) from None
        yield value, path
        await turns.offer()


def parse_ids(body: bytes, key: str) -> list[str]:
    """The UUIDs of a body that holds nothing else; raises ``JsonRequest``."""
    values = items(required(json_object(body), key, ""), key)
    return [uuid(value, f"{key}[{at}]") for at, value in enumerate(values)]
