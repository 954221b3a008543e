"""Deleting: a version of the row that is stale. It can still be read by its id."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tensorzero.gateway.datasets.body import parse_ids
from tensorzero.gateway.datasets.name import check_dataset_name
from tensorzero.gateway.datasets.store import DatapointKey, DatapointStore
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import InvalidRequest

_ROWS_AT_ONCE = 1000


async def delete_datapoints(
    dataset_name: str, body: bytes, store: DatapointStore
) -> dict[str, int]:
    """Answers how many are stale now that were not; the others are no fault.

    Raises ``JsonRequest``, ``InvalidDatasetName`` and ``InvalidRequest``.
    """
    ids = parse_ids(body, "ids")
    check_dataset_name(dataset_name)
    store.check_writable()
    if not ids:
        raise InvalidRequest("ids must be a non-empty list")

    async def keys() -> AsyncIterator[list[DatapointKey]]:
        yield await store.keys_of(ids, dataset_name=dataset_name)

    return await _stale(keys(), store)


async def delete_dataset(dataset_name: str, store: DatapointStore) -> dict[str, int]:
    """The same for all of a dataset; raises ``InvalidDatasetName`` and ``InvalidRequest``."""
    check_dataset_name(dataset_name)
    store.check_writable()
    return await _stale(store.live_keys(dataset_name), store)


async def _stale(
    pieces: AsyncIterator[list[DatapointKey]], store: DatapointStore
) -> dict[str, int]:
    turns, deleted, now = Turns(), 0, store.versions.now()
    units: list[Rows] = []
    written = None
    async for keys in pieces:
        async for row in store.rows(keys, live=True):
            units.append([row.replaced(now, staled_at=now).recorded()])
            deleted += 1
            await turns.offer()
            if len(units) == _ROWS_AT_ONCE:
                written = await store.append(units, turns)
                units.clear()
    await store.readable(await store.append(units, turns) or written)
    return {"num_deleted_datapoints": deleted}
