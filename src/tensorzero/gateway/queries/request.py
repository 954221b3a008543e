"""The requests of inference queries, and what is refused of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

from tensorzero.config.config import Config
from tensorzero.gateway.fields import choice, integer, items, required, string, uuid
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.prepare import DEFAULT_FUNCTION
from tensorzero.gateway.queries.filters import (
    INFERENCE_NODES,
    Filter,
    metric_names,
    parse_filter,
)
from tensorzero.gateway.queries.order import INFERENCE_ORDERS, OrderBy, parse_order
from tensorzero.gateway.queries.source import FunctionType
from tensorzero.types.errors import InvalidMetricName, InvalidRequest, UnknownFunction

log = logging.getLogger(__name__)

OutputSource = Literal["none", "inference", "demonstration"]
OUTPUT_SOURCES = ("none", "inference", "demonstration")
DEFAULT_LIMIT = 20
_U32 = integer(0, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class ListInferences:
    """``POST /v1/inferences/list_inferences``; ``None`` is absent. ``limit`` ``None``: all."""

    function_name: str | None = None
    variant_name: str | None = None
    episode_id: str | None = None
    output_source: OutputSource = "inference"
    limit: int | None = DEFAULT_LIMIT
    offset: int | None = None
    before: str | None = None
    after: str | None = None
    filter: Filter | None = None
    order_by: tuple[OrderBy, ...] = ()
    search_query: str | None = None


@dataclass(frozen=True, slots=True)
class GetInferences:
    """``POST /v1/inferences/get_inferences``."""

    ids: tuple[str, ...]
    function_name: str | None = None
    output_source: OutputSource = "inference"


def parse_list(body: bytes) -> ListInferences:
    """Raises ``JsonRequest``; fields that are not known are ignored."""
    return read_list(json_object(body), "", DEFAULT_LIMIT)


def read_list(data: dict[str, Any], path: str, default_limit: int | None) -> ListInferences:
    """The same of an object inside a request, with a default of its own."""
    prefix = f"{path}." if path else ""

    def optional(key: str, read: Any) -> Any:
        value = data.get(key)
        return None if value is None else read(value, prefix + key)

    limit = optional("limit", _U32)
    name, given = "filters", data.get("filters")
    if given is None:
        name, given = "filter", data.get("filter")
        if given is not None:
            _warn_of_filter()
    return ListInferences(
        function_name=optional("function_name", string),
        variant_name=optional("variant_name", string),
        episode_id=optional("episode_id", uuid),
        output_source=parse_output_source(data.get("output_source"), f"{prefix}output_source"),
        limit=default_limit if limit is None else limit,
        offset=optional("offset", _U32),
        before=optional("before", uuid),
        after=optional("after", uuid),
        filter=None if given is None else parse_filter(given, prefix + name, INFERENCE_NODES),
        order_by=parse_order(data.get("order_by"), f"{prefix}order_by", INFERENCE_ORDERS),
        search_query=optional("search_query_experimental", string),
    )


def parse_get(body: bytes) -> GetInferences:
    """Raises ``JsonRequest``; fields that are not known are ignored."""
    data = json_object(body)
    ids = items(required(data, "ids", ""), "ids")
    function_name = data.get("function_name")
    return GetInferences(
        tuple(uuid(value, f"ids[{at}]") for at, value in enumerate(ids)),
        None if function_name is None else string(function_name, "function_name"),
        parse_output_source(data.get("output_source"), "output_source"),
    )


def parse_output_source(value: Any, path: str) -> OutputSource:
    """``null`` is the default; raises ``JsonRequest``."""
    if value is None:
        return "inference"
    return cast(OutputSource, choice(value, path, OUTPUT_SOURCES))


@cache
def _warn_of_filter() -> None:
    log.warning("`filter` of inference queries is now called `filters`")


def check_list(request: ListInferences, config: Config) -> None:
    """Raise what the contract refuses, in its order (section 2.4)."""
    _check_cursors(request)
    if request.function_name is not None:
        function_type(request.function_name, config)
    if request.filter is not None:
        for name in metric_names(request.filter):
            _check_metric(name, config)
    for term in request.order_by:
        if term.by == "metric":
            if request.function_name is None:
                raise InvalidRequest(
                    f"ORDER BY metric '{term.name}' is not supported when querying without "
                    "function_name"
                )
            _check_metric(term.name, config)
        elif term.by == "search_relevance" and request.search_query is None:
            raise InvalidRequest(
                "ORDER BY relevance requires search_query_experimental in the request"
                if request.function_name is None
                else "ORDER BY search_relevance requires search_query_experimental to be provided"
            )


def _check_cursors(request: ListInferences) -> None:
    if request.before is None and request.after is None:
        return
    if request.before is not None and request.after is not None:
        raise InvalidRequest("Cannot specify both 'before' and 'after' parameters")
    if request.offset is not None:
        raise InvalidRequest("Cannot use 'offset' with cursor pagination ('before' or 'after')")
    for term in request.order_by:
        what = {"metric": f"metric '{term.name}'", "search_relevance": "search relevance"}
        if term.by in what:
            raise InvalidRequest(
                f"Cannot order by {what[term.by]}; only ordering by timestamp is supported with "
                "before/after pagination."
            )


def _check_metric(name: str, config: Config) -> None:
    if name not in config.metrics:
        raise InvalidMetricName(name)


def function_type(name: str, config: Config) -> FunctionType:
    """Of a configured function; raises ``UnknownFunction``."""
    if name == DEFAULT_FUNCTION:
        return "chat"
    function = config.functions.get(name)
    if function is None:
        raise UnknownFunction(name)
    return function.type
