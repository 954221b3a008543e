"""The SQL of an export: slices of a function's inferences in the order of their ids.

``InferenceById`` is ordered by time, so it finds the next slice without a scan; everything else
is joined within the slice, so memory is bounded by the slice and not by the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tensorzero.storage.database.parameters import Parameter, quote_identifier

_ID_SHIFT: Final = 80
"""The first 48 of an id's 128 bits are its milliseconds."""

SETTINGS: Final[Mapping[str, str]] = {
    "join_use_nulls": "1",
    # Numbers that stay numbers where the file is read.
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_escape_forward_slashes": "0",
    "output_format_parquet_string_as_string": "1",
    # What spreadsheets and data frames take for a missing value; an empty text is in quotes.
    "format_csv_null_representation": "",
    "date_time_output_format": "iso",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """A function's inferences with ids in ``(after, until]`` (as integers)."""

    function_name: str
    after: int
    until: int

    def params(self) -> dict[str, Parameter]:
        return {"function": self.function_name, "after": str(self.after), "until": str(self.until)}


def first_id_at(milliseconds: int) -> int:
    """The smallest id of that moment (Unix time), as an integer."""
    return milliseconds << _ID_SHIFT


_SELECTED: Final = (
    "function_name = {function:String} AND id_uint > {after:UInt128} AND id_uint <= {until:UInt128}"
)

COUNT: Final = f"SELECT count() AS found FROM InferenceById WHERE {_SELECTED}"
"""How many there are (parameters of a ``Selection``)."""

NEXT_SLICE: Final = (
    "SELECT toString(max(id_uint)) AS last, count() AS found FROM "
    f"(SELECT id_uint FROM InferenceById WHERE {_SELECTED} "
    "ORDER BY id_uint LIMIT {rows:UInt32})"
)
"""The last id of the next ``rows`` inferences, and how many these are."""

_MIXED_EPISODES: Final = (
    "SELECT episode_id_uint FROM InferenceByEpisodeId WHERE function_name = {function:String} "
    "GROUP BY episode_id_uint HAVING uniqExact(variant_name) > 1"
)
"""Feedback on such an episode is of no variant, so it is in no table by variant."""

METRICS: Final = (
    "SELECT metric_name, groupUniqArray(kind) AS kinds FROM ("
    + " UNION ALL ".join(
        f"SELECT DISTINCT metric_name, '{kind.lower()}' AS kind "
        f"FROM {kind}MetricFeedbackByVariant WHERE function_name = {{function:String}} "
        f"UNION ALL SELECT DISTINCT metric_name, '{kind.lower()}' AS kind "
        f"FROM {kind}MetricFeedbackByTargetId WHERE toUInt128(target_id) IN ({_MIXED_EPISODES})"
        for kind in ("Boolean", "Float")
    )
    + ") GROUP BY metric_name ORDER BY metric_name SETTINGS optimize_aggregation_in_order = 1"
)
"""Metrics that inferences of a function, or their episodes, were given."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with values in the export; one that changed its type is a float."""

    name: str
    is_boolean: bool

    @property
    def column(self) -> str:
        return f"metric_{self.name}"


def metrics_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Metric, ...]:
    """From the answer to ``METRICS``."""
    return tuple(Metric(row["metric_name"], row["kinds"] == ["boolean"]) for row in rows)


_FROM_BOTH: Final = (
    "id, episode_id, function_name, variant_name, input, output, inference_params, tags, "
    "processing_time_ms, ttft_ms"
)
_COLUMNS: Final = (
    ("id", "toString(i.id)"),
    ("episode_id", "toString(i.episode_id)"),
    ("function_name", "toString(i.function_name)"),
    ("variant_name", "toString(i.variant_name)"),
    ("timestamp", "UUIDv7ToDateTime(i.id, 'UTC')"),
    ("input", "i.input"),
    ("output", "i.output"),
    ("output_schema", "i.output_schema"),
    ("inference_params", "i.inference_params"),
    ("tags", "i.tags"),
    ("processing_time_ms", "i.processing_time_ms"),
    ("ttft_ms", "i.ttft_ms"),
    ("models", "m.models"),
    ("model_inferences", "toUInt32(ifNull(m.calls, 0))"),
    ("input_tokens", "m.input_tokens"),
    ("output_tokens", "m.output_tokens"),
    ("provider_cache_read_input_tokens", "m.cache_read"),
    ("provider_cache_write_input_tokens", "m.cache_write"),
    ("cost", "m.cost"),
    ("cached", "m.cached"),
    ("finish_reason", "m.finish_reason"),
    ("demonstration", "d.demonstration"),
    ("comments", "arrayConcat(ifNull(ci.comments, []), ifNull(ce.comments, []))"),
)


def column_names(metrics: Iterable[Metric]) -> list[str]:
    """Names of an export's columns, in order."""
    return [name for name, _ in _COLUMNS] + [metric.column for metric in metrics]


_STRUCTURED: Final = ("tags", "models", "comments")


def slice_query(
    selection: Selection, metrics: tuple[Metric, ...], *, flat: bool = False
) -> tuple[str, dict[str, Parameter]]:
    """One slice, complete and in order; with its parameters, without a FORMAT. ``flat``: lists
    and maps are JSON texts, for formats that have none."""
    params = selection.params()
    columns = [
        f"{f'toJSONString({expression})' if flat and name in _STRUCTURED else expression} AS {name}"
        for name, expression in _COLUMNS
    ]
    joins = [
        _inferences(),
        f"LEFT JOIN ({_MODEL_ROWS}) AS m ON m.inference_id = i.id",
        f"LEFT JOIN ({_DEMONSTRATIONS}) AS d ON d.inference_id = i.id",
        f"LEFT JOIN ({_comments(_INFERENCES)}) AS ci ON ci.target_id = i.id",
        f"LEFT JOIN ({_comments(_EPISODES)}) AS ce ON ce.target_id = i.episode_id",
    ]
    if metrics:
        for number, metric in enumerate(metrics):
            params[f"metric{number}"] = metric.name
            value = f"ifNull(fi.value{number}, fe.value{number})"
            value = f"CAST({value}, 'Nullable(Bool)')" if metric.is_boolean else value
            columns.append(f"{value} AS {quote_identifier(metric.column)}")
        joins += [
            f"LEFT JOIN ({_values(len(metrics), _INFERENCES)}) AS fi ON fi.target_id = i.id",
            f"LEFT JOIN ({_values(len(metrics), _EPISODES)}) AS fe ON fe.target_id = i.episode_id",
        ]
    sql = "SELECT " + ", ".join(columns) + " FROM " + " ".join(joins) + " ORDER BY toUInt128(i.id)"
    return sql, params


_INFERENCES: Final = f"SELECT uint_to_uuid(id_uint) FROM InferenceById WHERE {_SELECTED}"
_EPISODES: Final = f"SELECT episode_id FROM InferenceById WHERE {_SELECTED}"


def _inferences() -> str:
    chosen = (
        "WHERE function_name = {function:String} AND toUInt128(id) > {after:UInt128} "
        "AND toUInt128(id) <= {until:UInt128} LIMIT 1 BY id"
    )
    return (
        f"(SELECT {_FROM_BOTH}, CAST(NULL, 'Nullable(String)') AS output_schema "
        f"FROM ChatInference {chosen} UNION ALL "
        f"SELECT {_FROM_BOTH}, toNullable(output_schema) AS output_schema "
        f"FROM JsonInference {chosen}) AS i"
    )


_MODEL_ROWS: Final = (
    "SELECT inference_id, arraySort(groupUniqArray(toString(model_name))) AS models, "
    "count() AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, "
    "sum(provider_cache_read_input_tokens) AS cache_read, "
    "sum(provider_cache_write_input_tokens) AS cache_write, "
    "toFloat64(sum(cost)) AS cost, min(cached) AS cached, "
    "argMax(toString(finish_reason), toUInt128(id)) AS finish_reason "
    f"FROM ModelInference WHERE inference_id IN ({_INFERENCES}) GROUP BY inference_id"
)
_DEMONSTRATIONS: Final = (
    "SELECT inference_id, argMax(value, toUInt128(id)) AS demonstration "
    "FROM DemonstrationFeedbackByInferenceId "
    f"WHERE inference_id IN ({_INFERENCES}) GROUP BY inference_id"
)


def _comments(targets: str) -> str:
    return (
        "SELECT target_id, arrayMap(c -> c.2, arraySort(groupArray((toUInt128(id), value)))) "
        f"AS comments FROM CommentFeedbackByTargetId WHERE target_id IN ({targets}) "
        "GROUP BY target_id"
    )


def _values(metrics: int, targets: str) -> str:
    """For each target the newest value of each metric."""
    values = ", ".join(
        f"argMaxIf(toNullable(number), toUInt128(id), metric_name = {{metric{i}:String}}) "
        f"AS value{i}"
        for i in range(metrics)
    )
    tables = " UNION ALL ".join(
        f"SELECT id, target_id, metric_name, toFloat64(value) AS number "
        f"FROM {kind}MetricFeedbackByTargetId WHERE target_id IN ({targets})"
        for kind in ("Boolean", "Float")
    )
    return f"SELECT target_id, {values} FROM ({tables}) GROUP BY target_id"
