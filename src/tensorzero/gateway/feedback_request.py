"""The body of ``POST /feedback``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tensorzero.gateway.fields import boolean, fault, refuse_unknown, required, string, uuid
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.request import parse_tags

_FIELDS = ("metric_name", "value", "inference_id", "episode_id", "tags", "internal", "dryrun")


@dataclass(frozen=True, slots=True)
class FeedbackRequest:
    """What somebody says about an inference or an episode."""

    metric_name: str
    value: Any
    inference_id: str | None = None
    episode_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    internal: bool = False
    dryrun: bool = False


def parse_feedback(body: bytes) -> FeedbackRequest:
    """A typed request; raises ``JsonRequest``."""
    data = json_object(body)
    refuse_unknown(data, "", _FIELDS)
    value = required(data, "value", "")
    if type(value) is float and not math.isfinite(value):
        raise fault("value", "number out of range")
    tags = data.get("tags")
    return FeedbackRequest(
        string(required(data, "metric_name", ""), "metric_name"),
        value,
        _id(data, "inference_id"),
        _id(data, "episode_id"),
        {} if tags is None else parse_tags(tags, "tags"),
        _flag(data, "internal"),
        _flag(data, "dryrun"),
    )


def _id(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    return None if value is None else uuid(value, key)


def _flag(data: dict[str, Any], key: str) -> bool:
    value = data.get(key)
    return value is not None and boolean(value, key)
