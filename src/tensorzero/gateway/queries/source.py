"""Where inferences can be looked up, and how each table names what conditions are about.

The two index tables are small and in the order of time, so a page of the newest is read from
their ends; only tags and texts need the wide tables, which are in the order of functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tensorzero.config.metric import MetricConfig
from tensorzero.gateway.queries.conditions import Metric
from tensorzero.gateway.queries.filters import FloatMetric, Time
from tensorzero.gateway.queries.sql import Bindings

FunctionType = Literal["chat", "json"]
UUID_TIME_BIT = 80
"""A UUIDv7 holds its time, in milliseconds, from this bit on."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table, called ``i`` in queries, and SQL over it."""

    table: str
    uint: str
    """The inference's id as a number: in the order of time."""
    episode_id: str
    function_type: str
    id_key: str
    """The inference's id as the table has it …"""
    id_cast: str
    """… and what makes it of a UUID."""
    episode_key: str
    episode_cast: str

    def key(self, level: Literal["inference", "episode"]) -> str:
        """What feedback of this level is about."""
        return self.id_key if level == "inference" else self.episode_key

    def cast(self, level: Literal["inference", "episode"], column: str) -> str:
        """A column of UUIDs in the form of ``key``."""
        function = self.id_cast if level == "inference" else self.episode_cast
        return f"{function}({column})"


_AS_NUMBER, _AS_UUID = "toUInt128", ""
BY_ID = Source(
    "InferenceById",
    uint="i.id_uint",
    episode_id="i.episode_id",
    function_type="i.function_type",
    id_key="i.id_uint",
    id_cast=_AS_NUMBER,
    episode_key="i.episode_id",
    episode_cast=_AS_UUID,
)
BY_EPISODE = Source(
    "InferenceByEpisodeId",
    uint="i.id_uint",
    episode_id="uint_to_uuid(i.episode_id_uint)",
    function_type="i.function_type",
    id_key="i.id_uint",
    id_cast=_AS_NUMBER,
    episode_key="i.episode_id_uint",
    episode_cast=_AS_NUMBER,
)


def _wide(table: str, kind: FunctionType) -> Source:
    return Source(
        table,
        uint="toUInt128(i.id)",
        episode_id="i.episode_id",
        function_type=f"'{kind}'",
        id_key="i.id",
        id_cast=_AS_UUID,
        episode_key="i.episode_id",
        episode_cast=_AS_UUID,
    )


WIDE: dict[FunctionType, Source] = {
    "chat": _wide("ChatInference", "chat"),
    "json": _wide("JsonInference", "json"),
}


@dataclass(frozen=True, slots=True)
class InferenceRows:
    """The rows of a source as filters see them."""

    source: Source
    metrics: Mapping[str, MetricConfig]
    """Holds every metric that the filter names."""

    @property
    def tags(self) -> str:
        return "i.tags"

    def metric(self, node: Metric, bind: Bindings, *, negated: bool) -> str:
        level = self.metrics[node.metric_name].level
        value = latest_value()
        # The table is the node's, not the metric's: the other one has no feedback on it.
        if isinstance(node, FloatMetric):
            table, holds = "Float", f"{value} {node.comparison} {bind.float32(node.value)}"
        else:
            table, holds = "Boolean", f"{value} = {bind.boolean(node.value)}"
        if negated:
            holds = f"NOT ({holds})"
        return (
            f"{self.source.key(level)} IN (SELECT {self.source.cast(level, 'target_id')} "
            f"FROM {table}MetricFeedback WHERE metric_name = {bind.string(node.metric_name)} "
            f"GROUP BY target_id HAVING {holds})"
        )

    def demonstration(self, wanted: bool) -> str:
        operator = "IN" if wanted else "NOT IN"
        column = self.source.cast("inference", "inference_id")
        return f"{self.source.id_key} {operator} (SELECT {column} FROM DemonstrationFeedback)"

    def time(self, node: Time, bind: Bindings) -> str:
        """A whole second is a range of ids, which is the order of the index tables."""

        def second(at: int) -> str:
            return bind.uint128(max(at, 0) * 1000 << UUID_TIME_BIT)

        uint, begins, ends = self.source.uint, second(node.seconds), second(node.seconds + 1)
        return {
            "<": f"{uint} < {begins}",
            "<=": f"{uint} < {ends}",
            "=": f"{uint} >= {begins} AND {uint} < {ends}",
            "!=": f"{uint} < {begins} OR {uint} >= {ends}",
            ">=": f"{uint} >= {begins}",
            ">": f"{uint} >= {ends}",
        }[node.comparison]


def latest_value() -> str:
    """SQL of the value of a group of feedback rows that counts: the newest id's."""
    return "argMax(value, toUInt128(id))"


def creation_second(uint: str) -> str:
    """SQL of the second in an id."""
    return f"intDiv(bitShiftRight({uint}, {UUID_TIME_BIT}), 1000)"
