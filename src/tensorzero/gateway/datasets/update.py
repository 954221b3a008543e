"""``PATCH /v1/datasets/{dataset_name}/datapoints`` and ``…/datapoints/metadata``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from msgspec import UNSET, UnsetType

from tensorzero.config.function import FunctionConfig
from tensorzero.gateway.datasets.body import SentDatapoints
from tensorzero.gateway.datasets.content import (
    assemble_tools,
    check_input,
    compile_schema,
    find_function_of,
    json_columns,
    store_files,
)
from tensorzero.gateway.datasets.create import NONE_GIVEN
from tensorzero.gateway.datasets.name import check_dataset_name
from tensorzero.gateway.datasets.request import (
    NO_CHANGES,
    DatapointUpdate,
    Kind,
    RawOutput,
    parse_metadata_update,
    parse_update,
)
from tensorzero.gateway.datasets.row import DatapointRow, datapoint_tools, text
from tensorzero.gateway.datasets.store import DatapointStore
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.services import Services
from tensorzero.gateway.stored.text import stored_json
from tensorzero.gateway.stored.tools import read_tools
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import InvalidRequest
from tzcore.uuid7 import uuid7


async def update_datapoints(
    dataset_name: str, body: bytes, store: DatapointStore
) -> dict[str, list[str]]:
    """Each becomes a new datapoint, the old one is stale; answers the new ids in the request's
    order. Whatever is wrong with one, nothing is written.

    Raises ``JsonRequest``, ``InvalidDatasetName``, ``InvalidRequest``, ``DatapointNotFound``,
    ``UnknownFunction``, and what is wrong with an input, its files, the tools or a schema.
    """
    turns, services = Turns(), store.services
    updates = list(await SentDatapoints.read(body, parse_update, turns))
    ids = [update.id for update in updates]
    _check_request(dataset_name, ids, store)
    found = await store.live(dataset_name, ids)
    changes: list[dict[str, Any]] = []
    for update in updates:
        changes.append(_changes(update, found[update.id], services))
        await turns.offer()
    await store_files([one.input for one in updates if one.input is not None], services)
    now = store.versions.now()
    new_ids: list[str] = []
    units: list[Rows] = []
    for update, columns in zip(updates, changes, strict=True):
        if update.input is not None:
            columns["input"] = text(update.input.to_json())
        new_ids.append(uuid7())
        old = found[update.id]
        new = old.changed(
            **columns,
            id=new_ids[-1],
            is_custom=True,
            updated_at=now,
            snapshot_hash=services.config.snapshot.hash,
        )
        stale = old.replaced(now, staled_at=now)
        units.append([stale.recorded(), new.recorded()])
        await turns.offer()
    await store.write(units, turns)
    return {"ids": new_ids}


async def update_metadata(
    dataset_name: str, body: bytes, store: DatapointStore
) -> dict[str, list[str]]:
    """Names only, in place; answers the request's ids. Raises as ``update_datapoints``."""
    turns = Turns()
    updates = list(await SentDatapoints.read(body, parse_metadata_update, turns))
    ids = [update.id for update in updates]
    _check_request(dataset_name, ids, store)
    found = await store.live(dataset_name, ids)
    now = store.versions.now()
    units: list[Rows] = []
    for update in updates:
        columns = {} if update.name is UNSET else {"name": update.name}
        units.append([found[update.id].replaced(now, **columns).recorded()])
        await turns.offer()
    await store.write(units, turns)
    return {"ids": ids}


def _check_request(dataset_name: str, ids: Sequence[str], store: DatapointStore) -> None:
    check_dataset_name(dataset_name)
    store.check_writable()
    if not ids:
        raise InvalidRequest(NONE_GIVEN)
    seen: set[str] = set()
    for id_ in ids:
        if id_ in seen:
            raise InvalidRequest(f"Duplicate datapoint id provided: {id_}")
        seen.add(id_)


def _changes(update: DatapointUpdate, row: DatapointRow, services: Services) -> dict[str, Any]:
    """The columns that change, but for the input, whose files are not stored yet."""
    _check_kind(update.kind, row)
    function = find_function_of(row.kind, row.columns["function_name"], services)
    if update.input is not None:
        check_input(function, update.input, services)
    columns: dict[str, Any] = {}
    if update.tags is not None:
        columns["tags"] = update.tags
    if not isinstance(update.name, UnsetType):
        columns["name"] = update.name
    if row.kind == "chat":
        columns.update(_chat_changes(update, row, function, services))
    else:
        columns.update(_json_changes(update, row))
    return columns


def _check_kind(kind: Kind, row: DatapointRow) -> None:
    if kind == row.kind:
        return
    if row.kind == "json":
        raise InvalidRequest(
            f"Datapoint {row.id} is a JSON datapoint but a chat update was provided"
        )
    raise InvalidRequest(f"Datapoint {row.id} is a chat datapoint but a JSON update was provided")


def _chat_changes(
    update: DatapointUpdate, row: DatapointRow, function: FunctionConfig, services: Services
) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    output = update.output
    if output is None:
        columns["output"] = None
    elif isinstance(output, list):
        columns["output"] = text([block.to_json() for block in output])
    if update.tools != NO_CHANGES:
        stored = read_tools(row.columns)
        if stored.tool_choice is None:
            stored = replace(stored, tool_choice="auto")
        columns.update(datapoint_tools(assemble_tools(function, services, stored, update.tools)))
    return columns


def _json_changes(update: DatapointUpdate, row: DatapointRow) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if update.output_schema is None:
        stored = stored_json(row.columns["output_schema"], "output_schema")
        schema = compile_schema({} if stored is None else stored)
    else:
        schema = compile_schema(update.output_schema)
        columns["output_schema"] = schema.text
    if update.output is None:
        columns["output"] = None
    elif isinstance(update.output, RawOutput):
        columns["output"] = text(json_columns(update.output, schema))
    return columns
