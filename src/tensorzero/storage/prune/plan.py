"""What a prune changes: table by table, which rows, in an order that can be repeated.

An inference's age is its id's time. With it go the rows about it: model inferences, index and tag
rows, and feedback whose target goes (an inference, or an episode none of whose inferences stays).
Statistics, usage, datasets, evaluation runs and cached configurations stay.

Each step's rows are found by tables that a later step prunes, never by those of an earlier one:
a prune that was interrupted is completed by the same prune again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tensorzero.storage.database.parameters import Parameter
from tensorzero.storage.schema.replication import Replication

_ID_SHIFT: Final = 80
"""The first 48 of an id's 128 bits are its milliseconds."""
_FUTURE_MS: Final = 10**13
"""Workflow-evaluation episodes carry ids this much in the future."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Inferences of before ``before_ms`` (Unix time), of one function or of all."""

    before_ms: int
    function_name: str | None = None

    def params(self) -> dict[str, Parameter]:
        params: dict[str, Parameter] = {
            "before": str(self.before_ms << _ID_SHIFT),
            "future": str(_FUTURE_MS << _ID_SHIFT),
            "future_before": str((_FUTURE_MS + self.before_ms) << _ID_SHIFT),
            "before_s": self.before_ms // 1000,
        }
        if self.function_name is not None:
            params["function"] = self.function_name
        return params


@dataclass(frozen=True, slots=True)
class Step:
    """Rows of ``table`` where ``condition`` holds are deleted, or their ``columns`` emptied.

    ``windowed``: the condition holds a set of ids, so it is applied to ids in
    ``({after:UInt128}, {until:UInt128}]`` at a time, which bounds the set.
    """

    table: str
    condition: str
    columns: tuple[str, ...] = ()
    windowed: bool = False
    forecast: str = ""
    """What will hold for these rows when it is this step's turn, if ``condition`` does not yet."""

    def statement(self, replication: Replication) -> str:
        """The mutation: the way of changing rows that gives disk space back."""
        change = "DELETE"
        if self.columns:
            change = "UPDATE " + ", ".join(f"{name} = ''" for name in self.columns)
        return f"ALTER TABLE {self.table}{replication.on_cluster} {change} WHERE {self.condition}"

    @property
    def count(self) -> str:
        """How many rows it changes, asked before any step was taken."""
        return f"SELECT count() AS found FROM {self.table} WHERE {self.forecast or self.condition}"

    @property
    def count_now(self) -> str:
        """How many rows it changes, asked when it is its turn."""
        return f"SELECT count() AS found FROM {self.table} WHERE {self.condition}"


MUTATION_SETTINGS: Final[Mapping[str, str]] = {
    # Sent off, then watched: a mutation outlives the connection and the process that asked.
    "mutations_sync": "0",
    "alter_sync": "0",
    # Replicated tables refuse subqueries otherwise. Here they give every replica the same rows:
    # what they read is not changed before the mutation is done everywhere.
    "allow_nondeterministic_mutations": "1",
}

WINDOW: Final = (
    "SELECT toString(max(id_uint)) AS last, count() AS found FROM (SELECT id_uint "
    "FROM InferenceById WHERE id_uint > {{after:UInt128}} AND id_uint < {{before:UInt128}}{function} "
    "ORDER BY id_uint LIMIT {{rows:UInt32}})"
)


def window_query(scope: Scope) -> str:
    """The end of the next window: parameters of the scope, ``after`` and ``rows``."""
    chosen = " AND function_name = {function:String}" if scope.function_name is not None else ""
    return WINDOW.format(function=chosen)


def plan(scope: Scope, *, raw_only: bool) -> tuple[Step, ...]:
    """The steps, in order; their parameters are the scope's."""
    steps = _raw(scope) if raw_only else _everything(scope)
    return tuple(steps)


def _of_function(scope: Scope) -> str:
    return " AND function_name = {function:String}" if scope.function_name is not None else ""


_FINISHED: Final = (
    "batch_id IN (SELECT batch_id FROM BatchRequest GROUP BY batch_id "
    "HAVING countIf(status != 'pending') > 0)"
)


def _model_rows(scope: Scope) -> Iterable[tuple[str, bool]]:
    """Conditions on ``ModelInference``, with whether they are windowed."""
    old = "toUInt128(inference_id) < {before:UInt128}"
    yield old + _of_function(scope), False
    if scope.function_name is not None:
        # Rows that older versions wrote do not name the function.
        yield f"function_name = '' AND toUInt128(inference_id) IN ({_INFERENCES})", True


_INFERENCES: Final = (
    "SELECT id_uint FROM InferenceById WHERE function_name = {function:String} "
    "AND id_uint > {after:UInt128} AND id_uint <= {until:UInt128} AND id_uint < {before:UInt128}"
)


def _raw(scope: Scope) -> Iterable[Step]:
    raw = ("raw_request", "raw_response")
    filled = " AND (raw_request != '' OR raw_response != '')"
    for condition, windowed in _model_rows(scope):
        yield Step("ModelInference", condition + filled, raw, windowed)
    function = _of_function(scope)
    yield Step(
        "BatchModelInference",
        "toUInt128(inference_id) < {before:UInt128} AND raw_request != '' "
        f"AND {_FINISHED}{function}",
        ("raw_request",),
    )
    yield Step("BatchRequest", f"toUInt128(batch_id) < {{before:UInt128}}{filled}{function}", raw)
    if scope.function_name is None:
        yield Step("ModelInferenceCache", f"{_OLD_CACHE}{filled}", raw)


_OLD_CACHE: Final = "timestamp < toDateTime({before_s:UInt32})"

_FEEDBACK: Final = (
    ("BooleanMetricFeedback", "toUInt128(target_id)"),
    ("FloatMetricFeedback", "toUInt128(target_id)"),
    ("CommentFeedback", "toUInt128(target_id)"),
    ("DemonstrationFeedback", "toUInt128(inference_id)"),
)
_FEEDBACK_TARGETS: Final = (
    ("BooleanMetricFeedbackByTargetId", "toUInt128(target_id)"),
    ("FloatMetricFeedbackByTargetId", "toUInt128(target_id)"),
    ("CommentFeedbackByTargetId", "toUInt128(target_id)"),
    ("DemonstrationFeedbackByInferenceId", "toUInt128(inference_id)"),
    ("BooleanMetricFeedbackByVariant", "target_id_uint"),
    ("FloatMetricFeedbackByVariant", "target_id_uint"),
)


def _target_goes(scope: Scope, target: str) -> str:
    """Of a feedback row: nothing of its target stays."""
    if scope.function_name is None:
        old = _old_target(target)
        return (
            f"{old} AND {target} NOT IN (SELECT episode_id_uint FROM InferenceByEpisodeId "
            f"WHERE id_uint >= {{before:UInt128}} AND {_old_target('episode_id_uint')})"
        )
    return f"({target} IN ({_INFERENCES}) OR {target} IN ({_EPISODES}))"


def _old_target(target: str) -> str:
    return (
        f"({target} < {{before:UInt128}} OR "
        f"({target} >= {{future:UInt128}} AND {target} < {{future_before:UInt128}}))"
    )


_EPISODES: Final = (
    "SELECT episode_id_uint FROM InferenceByEpisodeId WHERE episode_id_uint IN ("
    "SELECT toUInt128(episode_id) FROM InferenceById WHERE function_name = {function:String} "
    "AND id_uint > {after:UInt128} AND id_uint <= {until:UInt128}) GROUP BY episode_id_uint "
    "HAVING countIf(NOT (function_name = {function:String} AND id_uint < {before:UInt128})) = 0 "
    "AND max(id_uint) > {after:UInt128} AND max(id_uint) <= {until:UInt128}"
)
"""Episodes with inferences of the function alone, all of them old."""


def _everything(scope: Scope) -> Iterable[Step]:
    function = _of_function(scope)
    by_function = scope.function_name is not None
    # First what only the feedback tables can find, then these.
    feedback = " UNION ALL ".join(
        f"SELECT id FROM {table} WHERE {_target_goes(scope, target)}"
        + ("" if by_function else f" AND {_windowed(target)}")
        for table, target in _FEEDBACK
    )
    for table in ("FeedbackTag", "StaticEvaluationHumanFeedback"):
        yield Step(table, f"feedback_id IN ({feedback})", windowed=True)
    for table, target in (*_FEEDBACK_TARGETS, *_FEEDBACK):
        yield Step(table, _target_goes(scope, target), windowed=by_function)
    yield Step("EpisodeById", _target_goes(scope, "episode_id_uint"), windowed=by_function)
    for condition, windowed in _model_rows(scope):
        yield Step("ModelInference", condition, windowed=windowed)
    old = "toUInt128({column}) < {{before:UInt128}}"
    for table, column in (
        ("InferenceTag", "inference_id"),
        ("TagInference", "inference_id"),
        ("ChatInference", "id"),
        ("JsonInference", "id"),
    ):
        yield Step(table, old.format(column=column) + function)
    of_batch = function and (
        " AND batch_id IN (SELECT batch_id FROM BatchRequest "
        "WHERE function_name = {function:String})"
    )
    in_batch = f"toUInt128(inference_id) < {{before:UInt128}} AND {_FINISHED}"
    yield Step("BatchIdByInferenceId", in_batch + of_batch)
    yield Step("BatchModelInference", in_batch + function)
    # Not by its own rows: these go part by part.
    old_batch = f"toUInt128(batch_id) < {{before:UInt128}}{function} AND "
    yield Step(
        "BatchRequest",
        old_batch + "batch_id NOT IN (SELECT batch_id FROM BatchModelInference)",
        forecast=old_batch + _FINISHED,
    )
    if not by_function:
        yield Step("ModelInferenceCache", _OLD_CACHE)
    # Last what found the others.
    for table in ("InferenceByEpisodeId", "InferenceById"):
        yield Step(table, "id_uint < {before:UInt128}" + function)


def _windowed(target: str) -> str:
    return f"{target} > {{after:UInt128}} AND {target} <= {{until:UInt128}}"
