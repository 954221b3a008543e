"""Workflow-evaluation runs and their episodes: the contract's feedback page, section 2."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from tensorzero.config.config import Config
from tensorzero.gateway.episode import WORKFLOW_OFFSET_S
from tensorzero.gateway.fields import boolean, mapping, required, string, uuid
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.request import parse_tags
from tensorzero.gateway.services import Services
from tensorzero.gateway.tags import check_tags
from tensorzero.types.errors import (
    ClickHouseConnection,
    InvalidRequest,
    InvalidWorkflowEvaluationRun,
    UnknownFunction,
)
from tzcore.uuid7 import uuid7

_RUN = (
    "SELECT variant_pins, tags FROM DynamicEvaluationRun "
    "WHERE run_id_uint = toUInt128({run_id:UUID}) ORDER BY updated_at DESC LIMIT 1"
)
_EPISODE = (
    "SELECT toString(run_id) AS run_id, variant_pins, tags FROM DynamicEvaluationRunEpisode "
    "WHERE episode_id_uint = toUInt128({episode_id:UUID}) ORDER BY updated_at DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class WorkflowEpisode:
    """An episode of a run: which variants it pins, the tags it brings, the run's id."""

    run_id: str
    variant_pins: dict[str, str]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """What ``POST /workflow_evaluation_run`` asks for."""

    variants: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    project_name: str | None = None
    display_name: str | None = None
    internal: bool = False


async def find_episode(services: Services, episode_id: str) -> WorkflowEpisode:
    """Raises ``InvalidWorkflowEvaluationRun`` when there is none, and what ``Reads`` raises."""
    if not services.records:
        raise InvalidWorkflowEvaluationRun(episode_id)
    rows = await services.reads.query(_EPISODE, {"episode_id": episode_id})
    if not rows:
        raise InvalidWorkflowEvaluationRun(episode_id)
    row = rows[0]
    return WorkflowEpisode(row["run_id"], dict(row["variant_pins"]), dict(row["tags"]))


def parse_run(body: bytes) -> WorkflowRun:
    """A typed request; raises ``JsonRequest``. Fields that are not known are ignored."""
    data = json_object(body)
    variants = mapping(required(data, "variants", ""), "variants")
    return WorkflowRun(
        {name: string(variant, f"variants.{name[:64]}") for name, variant in variants.items()},
        _tags(data),
        _text(data, "project_name"),
        _text(data, "display_name"),
        data.get("internal") is not None and boolean(data["internal"], "internal"),
    )


async def start_run(body: bytes, services: Services) -> dict[str, str]:
    """Record a run and answer its id."""
    run = parse_run(body)
    if not run.internal:
        check_tags(run.tags)
    _check_pins(run.variants, services.config)
    run_id = uuid7()
    row = {
        "run_id_uint": str(UUID(run_id).int),
        "variant_pins": run.variants,
        "tags": run.tags,
        "project_name": run.project_name,
        "run_display_name": run.display_name,
        "snapshot_hash": services.config.snapshot.hash,
    }
    await _write([(b"DynamicEvaluationRun", orjson.dumps(row))], services)
    return {"run_id": run_id}


async def start_episode(run_id: str, body: bytes, services: Services) -> dict[str, str]:
    """Record an episode of a run and answer its id, which lies far in the future."""
    run_id = uuid(run_id, "run_id")
    data = json_object(body)
    task_name, tags = _text(data, "task_name"), _tags(data)
    check_tags(tags)
    rows = await services.reads.query(_RUN, {"run_id": run_id})
    if not rows:
        raise InvalidRequest(f"Workflow evaluation run not found: {run_id}")
    run = rows[0]
    episode_id = _episode_id()
    row = {
        "run_id": run_id,
        "episode_id_uint": str(UUID(episode_id).int),
        "variant_pins": run["variant_pins"],
        "datapoint_name": task_name,
        "tags": {
            **run["tags"],
            **tags,
            "tensorzero::dynamic_evaluation_run_id": run_id,
            "tensorzero::workflow_evaluation_run_id": run_id,
        },
        "snapshot_hash": services.config.snapshot.hash,
    }
    await _write([(b"DynamicEvaluationRunEpisode", orjson.dumps(row))], services)
    return {"episode_id": episode_id}


def _episode_id() -> str:
    """An id like any other, but for its time."""
    milliseconds = int(time.time() * 1000) + WORKFLOW_OFFSET_S * 1000
    random = UUID(uuid7()).int & ((1 << 80) - 1)
    return str(UUID(int=milliseconds << 80 | random))


def _check_pins(variants: dict[str, str], config: Config) -> None:
    for name, variant in variants.items():
        function = config.functions.get(name)
        if function is None:
            raise UnknownFunction(name)
        if variant not in function.variants:
            raise InvalidRequest(f"Variant {variant} for function {name} not found.")


async def _write(rows: Rows, services: Services) -> None:
    """Whoever is answered may use it at once, on any worker."""
    if not services.records:
        raise ClickHouseConnection(
            "Workflow evaluations are recorded, and `gateway.observability` is off"
        )
    services.recorder.check()
    position = services.recorder.append(rows)
    if position is None:
        raise ClickHouseConnection("There is no room to record it; see the log")
    await services.recorder.flushed(position)


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    return None if value is None else string(value, key)


def _tags(data: dict[str, Any]) -> dict[str, str]:
    value = data.get("tags")
    return {} if value is None else parse_tags(value, "tags")
