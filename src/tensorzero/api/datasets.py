"""``/v1/datasets/**`` and the internal routes of datasets."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import cache

from tensorzero.api.use_case import Call, UseCase
from tensorzero.gateway.datasets.clone import clone_datapoints
from tensorzero.gateway.datasets.create import create_datapoints
from tensorzero.gateway.datasets.delete import delete_datapoints, delete_dataset
from tensorzero.gateway.datasets.from_inferences import create_from_inferences
from tensorzero.gateway.datasets.get import get_datapoints
from tensorzero.gateway.datasets.list import list_datapoints
from tensorzero.gateway.datasets.overview import count_datapoints, list_datasets
from tensorzero.gateway.datasets.store import DatapointStore
from tensorzero.gateway.datasets.update import update_datapoints, update_metadata

log = logging.getLogger(__name__)

_DATASET = "/v1/datasets/{dataset_name}"
_INTERNAL = "/internal/datasets"


def changing_dataset_use_cases(store: DatapointStore) -> dict[tuple[str, str], UseCase]:
    """Those that write, by method and path."""

    async def remove(call: Call) -> object:
        return await delete_dataset(call.path["dataset_name"], store)

    return {
        ("POST", f"{_DATASET}/datapoints"): _with_body(create_datapoints, store),
        ("PATCH", f"{_DATASET}/datapoints"): _with_body(update_datapoints, store),
        ("PATCH", f"{_DATASET}/datapoints/metadata"): _with_body(update_metadata, store),
        ("DELETE", f"{_DATASET}/datapoints"): _with_body(delete_datapoints, store),
        ("DELETE", _DATASET): remove,
        ("POST", f"{_DATASET}/from_inferences"): _with_body(create_from_inferences, store),
        ("POST", f"{_INTERNAL}/{{dataset_name}}/datapoints/clone"): _with_body(
            clone_datapoints, store
        ),
    }


def reading_dataset_use_cases(store: DatapointStore) -> dict[tuple[str, str], UseCase]:
    """Those that only read, by method and path."""

    async def of_all(call: Call) -> object:
        _warn_of_all()
        return await get_datapoints(None, call.body, store)

    async def overview(call: Call) -> object:
        return await list_datasets(call.query, store)

    async def count(call: Call) -> object:
        return await count_datapoints(call.path["dataset_name"], call.query, store)

    return {
        ("POST", f"{_DATASET}/list_datapoints"): _with_body(list_datapoints, store),
        ("POST", f"{_DATASET}/get_datapoints"): _with_body(get_datapoints, store),
        ("POST", "/v1/datasets/get_datapoints"): of_all,
        ("GET", _INTERNAL): overview,
        ("GET", f"{_INTERNAL}/{{dataset_name}}/datapoints/count"): count,
    }


_Verb = Callable[[str, bytes, DatapointStore], Awaitable[object]]


def _with_body(verb: _Verb, store: DatapointStore) -> UseCase:
    async def answer(call: Call) -> object:
        return await verb(call.path["dataset_name"], call.body, store)

    return answer


@cache
def _warn_of_all() -> None:
    log.warning(
        "`/v1/datasets/get_datapoints` is deprecated: name the dataset, as in "
        "`/v1/datasets/{dataset_name}/get_datapoints`"
    )
