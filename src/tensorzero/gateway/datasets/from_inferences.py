"""``POST /v1/datasets/{dataset_name}/from_inferences``: copies of recorded inferences."""

from __future__ import annotations

from typing import Any

from tensorzero.gateway.datasets.content import assemble_tools, find_function_of
from tensorzero.gateway.datasets.name import check_dataset_name
from tensorzero.gateway.datasets.row import DatapointRow, datapoint_tools, new_row, text
from tensorzero.gateway.datasets.store import DatapointStore
from tensorzero.gateway.fields import choice, items, required, uuid
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.queries.inferences import get_inferences, list_inferences
from tensorzero.gateway.queries.request import (
    GetInferences,
    ListInferences,
    parse_output_source,
    read_list,
)
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.services import Services
from tensorzero.gateway.stored.inference import StoredInference, output_json
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import InvalidRequest
from tzcore.uuid7 import uuid7

_WITHOUT_TOOLS = {
    "allowed_tools": '{"tools":[],"choice":"function_default"}',
    "tool_choice": "auto",
}
"""What the reference stores here where it stores nothing for a datapoint that is created."""


async def create_from_inferences(
    dataset_name: str, body: bytes, store: DatapointStore
) -> dict[str, list[str]]:
    """A datapoint for each inference, in the order of the query; all or none.

    Raises ``JsonRequest``, ``InvalidDatasetName``, ``InvalidRequest`` (an inference is not
    found), ``UnknownFunction``, ``ToolNotFound``, ``DuplicateTool``, and what refuses a query.
    """
    request = parse_request(body)
    check_dataset_name(dataset_name)
    store.check_writable()
    turns, services = Turns(), store.services
    version = store.versions.now()
    ids: list[str] = []
    units: list[Rows] = []
    sources: set[str] = set()
    inferences = (
        get_inferences(request, services)
        if isinstance(request, GetInferences)
        else list_inferences(request, services)
    )
    async for inference in inferences:
        ids.append(uuid7())
        sources.add(inference.id)
        units.append([_copy(inference, dataset_name, ids[-1], version, services).recorded()])
        await turns.offer()
    if isinstance(request, GetInferences):
        for id_ in request.ids:
            if id_ not in sources:
                raise InvalidRequest(f"Inference {id_} not found")
    await store.write(units, turns)
    return {"ids": ids}


def parse_request(body: bytes) -> GetInferences | ListInferences:
    """Raises ``JsonRequest``; fields that are not known are ignored."""
    data = json_object(body)
    kinds = ("inference_ids", "inference_query")
    if choice(required(data, "type", ""), "type", kinds) == "inference_query":
        return read_list(data, "", None)
    ids = items(required(data, "inference_ids", ""), "inference_ids")
    return GetInferences(
        tuple(uuid(value, f"inference_ids[{at}]") for at, value in enumerate(ids)),
        output_source=parse_output_source(data.get("output_source"), "output_source"),
    )


def _copy(
    inference: StoredInference, dataset_name: str, id_: str, version: str, services: Services
) -> DatapointRow:
    columns: dict[str, Any]
    if inference.tools is None:
        columns = {"output_schema": text(inference.output_schema)}
    else:
        function = find_function_of("chat", inference.function_name, services)
        tools = assemble_tools(function, services, inference.tools)
        columns = datapoint_tools(tools)
        if tools is None:
            columns = {**columns, **_WITHOUT_TOOLS}
    return new_row(
        "json" if inference.tools is None else "chat",
        dataset_name=dataset_name,
        function_name=inference.function_name,
        id_=id_,
        version=version,
        snapshot_hash=services.config.snapshot.hash,
        input_text=text(inference.input.to_json()),
        output_text=None if inference.output is None else text(output_json(inference.output)),
        tags=dict(inference.tags),
        episode_id=inference.episode_id,
        source_inference_id=inference.id,
        **columns,
    )
