"""``get_datapoints``, of one dataset or of all."""

from __future__ import annotations

from tensorzero.gateway.datasets.body import parse_ids
from tensorzero.gateway.datasets.name import check_dataset_name
from tensorzero.gateway.datasets.store import DatapointKey, DatapointStore
from tensorzero.gateway.turns import Turns
from tensorzero.types.json_text import dumps_exactly


async def get_datapoints(dataset_name: str | None, body: bytes, store: DatapointStore) -> bytes:
    """Those that are there, the stale ones too, the latest changed first.

    Raises ``JsonRequest``, ``InvalidDatasetName`` and ``ClickHouseDeserialization``.
    """
    ids = parse_ids(body, "ids")
    if dataset_name is not None:
        check_dataset_name(dataset_name)
    if not ids or not store.services.records:
        return await answer([], store, live=False)
    keys = await store.keys_of(ids, dataset_name=dataset_name, live=False)
    keys.sort(key=lambda key: (key.version, key.id), reverse=True)
    return await answer(keys, store, live=False)


async def answer(keys: list[DatapointKey], store: DatapointStore, *, live: bool) -> bytes:
    """``{"datapoints":[…]}`` in the order of ``keys``."""
    turns = Turns()
    written: list[bytes] = []
    async for row in store.rows(keys, live=live):
        written.append(dumps_exactly(row.to_json()))
        await turns.offer()
    return b'{"datapoints":[' + b",".join(written) + b"]}"
