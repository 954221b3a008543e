"""``POST /feedback``: checks in the contract's order (feedback page, section 1), then rows."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import orjson

from tensorzero.config.config import Config
from tensorzero.config.function import FunctionConfig
from tensorzero.config.metric import MetricConfig
from tensorzero.gateway.demonstration import (
    chat_demonstration,
    json_demonstration,
    recorded_tools,
)
from tensorzero.gateway.feedback_request import FeedbackRequest, parse_feedback
from tensorzero.gateway.feedback_targets import RecordedInference
from tensorzero.gateway.prepare import DEFAULT_FUNCTION
from tensorzero.gateway.recorder import Level, Rows
from tensorzero.gateway.services import Services
from tensorzero.gateway.tags import check_tags
from tensorzero.types.errors import (
    InvalidRequest,
    InvalidTensorzeroUuid,
    UnknownFunction,
    UnknownMetric,
)
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)

COMMENT = "comment"
DEMONSTRATION = "demonstration"
HUMAN_FEEDBACK = "tensorzero::human_feedback"
DATAPOINT_ID = "tensorzero::datapoint_id"
EVALUATOR_INFERENCE_ID = "tensorzero::evaluator_inference_id"


async def give_feedback(body: bytes, services: Services) -> dict[str, str]:
    """Check it, record it and answer its id; raises ``GatewayError``."""
    request = parse_feedback(body)
    tags = _checked_tags(request)
    if services.config.gateway.observability.enabled is False:
        raise InvalidRequest(
            "Feedback requires observability to be enabled "
            "(`gateway.observability.enabled` must not be `false`)."
        )
    metric = _metric(request, services.config)
    level, target = _target(request, metric)
    _check_human_feedback_ids(tags, metric)
    if not request.dryrun:
        services.metrics.feedback(request.metric_name)
    feedback_id = uuid7()
    shared = {"id": feedback_id, "tags": tags, "snapshot_hash": services.config.snapshot.hash}
    rows: Rows = []
    if request.metric_name == DEMONSTRATION:
        inference = await services.feedback_targets.inference(target)
        value = _demonstration(request.value, inference, services.config)
        rows.append(_row(b"DemonstrationFeedback", shared, inference_id=target, value=value))
    else:
        if not services.config.gateway.unstable_disable_feedback_target_validation:
            await services.feedback_targets.require(level, target)
        if metric is None:
            value = _comment(request.value)
            columns = {"target_id": target, "target_type": level, "value": value}
            rows.append(_row(b"CommentFeedback", shared, **columns))
        else:
            table = b"BooleanMetricFeedback" if metric.type == "boolean" else b"FloatMetricFeedback"
            columns = {"target_id": target, "metric_name": metric.name}
            rows.append(_row(table, shared, **columns, value=_metric_value(request.value, metric)))
            if not request.dryrun and level == "inference" and _is_human_feedback(tags):
                rows += await _human_feedback_rows(request, feedback_id, target, tags, services)
    if not request.dryrun:
        services.recorder.check_feedback()
        services.recorder.append_feedback(rows)
    return {"feedback_id": feedback_id}


def _checked_tags(request: FeedbackRequest) -> dict[str, str]:
    tags = dict(request.tags)
    if request.internal:
        tags["tensorzero::internal"] = "true"
    else:
        check_tags(tags)
    if DATAPOINT_ID in tags and HUMAN_FEEDBACK in tags and EVALUATOR_INFERENCE_ID not in tags:
        raise InvalidRequest(
            f"{EVALUATOR_INFERENCE_ID} is required when {DATAPOINT_ID} and {HUMAN_FEEDBACK} "
            "are provided"
        )
    return tags


def _metric(request: FeedbackRequest, config: Config) -> MetricConfig | None:
    """The metric; ``None`` for comments and demonstrations."""
    if request.inference_id is not None and request.episode_id is not None:
        raise InvalidRequest("Both episode_id and inference_id cannot be provided")
    if request.metric_name in (COMMENT, DEMONSTRATION):
        return None
    metric = config.metrics.get(request.metric_name)
    if metric is None:
        raise UnknownMetric(request.metric_name)
    return metric


def _target(request: FeedbackRequest, metric: MetricConfig | None) -> tuple[Level, str]:
    if request.metric_name == COMMENT:
        if request.inference_id is not None:
            return "inference", request.inference_id
        if request.episode_id is not None:
            return "episode", request.episode_id
        raise InvalidRequest("Exactly one of inference_id or episode_id must be provided")
    level: Level = "inference" if metric is None else metric.level
    target = request.inference_id if level == "inference" else request.episode_id
    if target is None:
        raise InvalidRequest(f'Correct ID was not provided for feedback level "{level}".')
    return level, target


def _is_human_feedback(tags: dict[str, str]) -> bool:
    return all(key in tags for key in (HUMAN_FEEDBACK, DATAPOINT_ID, EVALUATOR_INFERENCE_ID))


def _check_human_feedback_ids(tags: dict[str, str], metric: MetricConfig | None) -> None:
    if metric is None or not _is_human_feedback(tags):
        return
    for key, kind in (
        (DATAPOINT_ID, "datapoint"),
        (EVALUATOR_INFERENCE_ID, "evaluator_inference"),
    ):
        try:
            UUID(tags[key])
        except ValueError as error:
            raise InvalidTensorzeroUuid(kind, f"Invalid UUID: {error} (raw: {tags[key]})") from None


def _metric_value(value: Any, metric: MetricConfig) -> bool | float:
    if metric.type == "boolean":
        if type(value) is not bool:
            raise InvalidRequest(f"Feedback value for metric `{metric.name}` must be a boolean")
        return value
    if type(value) is int:
        return float(value)
    if type(value) is not float:
        raise InvalidRequest(f"Feedback value for metric `{metric.name}` must be a number")
    return value


def _comment(value: Any) -> str:
    if type(value) is not str:
        raise InvalidRequest("Feedback value for a comment must be a string")
    return value


def _demonstration(value: Any, inference: RecordedInference, config: Config) -> str:
    """Its text in the row; raises ``UnknownFunction`` and what the checks raise."""
    name = inference.function_name
    function = config.functions.get(name)
    if function is None:
        if name != DEFAULT_FUNCTION:
            raise UnknownFunction(name)
        function = FunctionConfig(DEFAULT_FUNCTION, "chat", {})
    if inference.function_type == "json":
        return json_demonstration(value, name, inference.row["output_schema"])
    return chat_demonstration(value, recorded_tools(inference.row, function, config.tools))


async def _human_feedback_rows(
    request: FeedbackRequest,
    feedback_id: str,
    target: str,
    tags: dict[str, str],
    services: Services,
) -> Rows:
    """What later evaluations use in place of the evaluator for the same output."""
    try:
        inference = await services.feedback_targets.inference(target)
    except InvalidRequest as error:
        if not services.config.gateway.unstable_disable_feedback_target_validation:
            raise
        log.warning("human feedback without its inference is recorded as a metric alone: %s", error)
        return []
    row = {
        "feedback_id": feedback_id,
        "metric_name": request.metric_name,
        "datapoint_id": str(UUID(tags[DATAPOINT_ID])),
        "output": inference.row["output"],
        "value": orjson.dumps(request.value).decode(),
        "evaluator_inference_id": str(UUID(tags[EVALUATOR_INFERENCE_ID])),
    }
    return [(b"StaticEvaluationHumanFeedback", orjson.dumps(row))]


def _row(table: bytes, shared: dict[str, Any], **columns: Any) -> tuple[bytes, bytes]:
    return table, orjson.dumps({**shared, **columns})
