"""``POST /internal/datasets/{dataset_name}/datapoints/clone``."""

from __future__ import annotations

from tensorzero.gateway.datasets.body import parse_ids
from tensorzero.gateway.datasets.name import check_dataset_name
from tensorzero.gateway.datasets.store import DatapointStore
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.turns import Turns
from tzcore.uuid7 import uuid7


async def clone_datapoints(
    dataset_name: str, body: bytes, store: DatapointStore
) -> dict[str, list[str | None]]:
    """Copies of live datapoints of any dataset, all but their ids as they were. Answers the new
    ids in the request's order, ``None`` for what is not there or stale.

    Raises ``JsonRequest``, ``InvalidDatasetName`` and ``InvalidRequest``.
    """
    ids = parse_ids(body, "datapoint_ids")
    check_dataset_name(dataset_name)
    store.check_writable()
    turns = Turns()
    new_ids: dict[str, str] = {}
    units: list[Rows] = []
    version = store.versions.now()
    async for row in store.rows(await store.keys_of(ids), live=True):
        if row.id in new_ids:  # of a database where two datasets share an id
            continue
        new_ids[row.id] = uuid7()
        copy = row.changed(id=new_ids[row.id], dataset_name=dataset_name, updated_at=version)
        units.append([copy.recorded()])
        await turns.offer()
    await store.write(units, turns)
    return {"datapoint_ids": [new_ids.get(id_) for id_ in ids]}
