"""``POST /v1/datasets/{dataset_name}/datapoints``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tensorzero.config.function import FunctionConfig
from tensorzero.gateway.datasets.body import SentDatapoints
from tensorzero.gateway.datasets.content import (
    assemble_tools,
    check_input,
    checked_blocks,
    compile_schema,
    find_function_of,
    json_columns,
    store_files,
)
from tensorzero.gateway.datasets.name import check_dataset_name
from tensorzero.gateway.datasets.request import KINDS, NewDatapoint, RawOutput, parse_new
from tensorzero.gateway.datasets.row import datapoint_tools, new_row, text
from tensorzero.gateway.datasets.store import DatapointStore
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.services import Services
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import GatewayError, InvalidRequest
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import ToolCallConfig
from tzcore.uuid7 import uuid7

_AT_ONCE = 64
NONE_GIVEN = "At least one datapoint must be provided"


@dataclass(frozen=True, slots=True)
class _Checked:
    """A datapoint that nothing but its files can still refuse."""

    given: NewDatapoint
    tools: ToolCallConfig | None
    schema: JSONSchema | None


async def create_datapoints(
    dataset_name: str, body: bytes, store: DatapointStore
) -> dict[str, list[str]]:
    """All of them or, if one is faulty, none; answers their ids in the request's order.

    Raises ``JsonRequest``, ``InvalidDatasetName`` and ``InvalidRequest``.
    """
    turns, services = Turns(), store.services
    sent = await SentDatapoints.read(body, parse_new, turns)
    check_dataset_name(dataset_name)
    store.check_writable()
    if not sent:
        raise InvalidRequest(NONE_GIVEN)
    version = store.versions.now()
    ids: list[str] = []
    units: list[Rows] = []
    remaining = iter(sent)
    while some := list(islice(remaining, _AT_ONCE)):
        for checked in await _checked(some, services, turns):
            ids.append(uuid7())
            units.append([_recorded(checked, dataset_name, ids[-1], version, services)])
            await turns.offer()
    await store.write(units, turns)
    return {"ids": ids}


async def _checked(
    given: Sequence[NewDatapoint], services: Services, turns: Turns
) -> list[_Checked]:
    """With their files stored; raises ``InvalidRequest``."""
    checked = []
    for one in given:
        try:
            checked.append(_check(one, services))
        except GatewayError as error:
            raise _refused(one.kind, error) from None
        await turns.offer()
    for kind in KINDS:
        try:
            await store_files([one.input for one in given if one.kind == kind], services)
        except GatewayError as error:
            raise _refused(kind, error) from None
    return checked


def _refused(kind: str, error: GatewayError) -> InvalidRequest:
    refusal = InvalidRequest(f"Failed to convert {kind} datapoint to database insert: {error}")
    refusal.errors = (error,)
    return refusal


def _check(given: NewDatapoint, services: Services) -> _Checked:
    function = find_function_of(given.kind, given.function_name, services)
    check_input(function, given.input, services)
    if given.kind == "chat":
        return _Checked(given, assemble_tools(function, services, changes=given.tools), None)
    return _Checked(given, None, _schema(given, function))


def _schema(given: NewDatapoint, function: FunctionConfig) -> JSONSchema:
    if given.output_schema is None:
        return function.output_schema
    return compile_schema(given.output_schema)


def _recorded(
    checked: _Checked, dataset_name: str, id_: str, version: str, services: Services
) -> tuple[bytes, bytes]:
    given, output = checked.given, checked.given.output
    columns: dict[str, Any]
    output_value: Any = None
    if checked.schema is None:
        columns = datapoint_tools(checked.tools)
        if output is not None and not isinstance(output, RawOutput):
            output_value = checked_blocks(output, checked.tools)
    else:
        columns = {"output_schema": checked.schema.text}
        if isinstance(output, RawOutput):
            output_value = json_columns(output, checked.schema)
    return new_row(
        given.kind,
        dataset_name=dataset_name,
        function_name=given.function_name,
        id_=id_,
        version=version,
        snapshot_hash=services.config.snapshot.hash,
        input_text=text(given.input.to_json()),
        output_text=None if output_value is None else text(output_value),
        tags=given.tags,
        episode_id=given.episode_id,
        is_custom=True,
        name=given.name,
        **columns,
    ).recorded()
