"""Listing datapoints, and making them of inferences: the contract's page on datasets, 9 and 11."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.api import Api
from gateway.datapoints import (
    UNKNOWN,
    Dataset,
    answered,
    ask,
    chat,
    datasets,
    extract,
    insert,
    refused,
)


def said(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}


@pytest.fixture(scope="module")
def animals(api: Api) -> dict[str, str]:
    """Five datapoints, each written after the one before: name and id."""
    dataset = Dataset(api, "animals")
    ids: dict[str, str] = {}
    for datapoint in (
        chat(name="ant", tags={"legs": "6"}, input=said('an "Ant" and an ant')),
        chat(name="bee", tags={"legs": "6", "wings": "4"}, input=said("a bee, an Ant")),
        extract(name="cat", tags={"legs": "4"}, output={"raw": "ANT"}),
        chat(name="dog", function_name="two"),
        extract(name="eel", tags={"legs": "0", "wings": ""}),
    ):
        (ids[datapoint["name"]],) = dataset.create(datapoint)
    return ids


def names(api: Api, **fields: Any) -> str:
    """The first letters, in the list's order."""
    return "".join(one["name"][0] for one in Dataset(api, "animals").list(**fields))


def tag(key: str, value: str, operator: str = "=") -> dict[str, Any]:
    return {"type": "tag", "key": key, "value": value, "comparison_operator": operator}


def test_pages_of_both_types(api: Api, animals: dict[str, str]) -> None:
    assert names(api) == "edcba"
    assert names(api, limit=2) == "ed"
    assert names(api, limit=2, offset=2) == "cb"
    assert names(api, limit=2**32 - 1, offset=2**32 - 1) == ""
    assert names(api, limit=0) == ""
    assert names(api, page_size=3) == "edc"
    assert names(api, page_size=3, limit=1) == "e"
    assert "`page_size` of `list_datapoints` is deprecated" in api.log
    assert names(api, function_name="extract") == "ec"
    assert names(api, function_name="nobody") == ""
    assert Dataset(api, "no-such-dataset").list() == []


def test_order(api: Api, animals: dict[str, str]) -> None:
    assert names(api, order_by=[{"by": "timestamp", "direction": "ascending"}]) == "abcde"
    assert names(api, order_by=[{"by": "timestamp"}]) == "edcba"
    assert names(api, order_by=[]) == "edcba"
    relevance = [{"by": "search_relevance", "direction": "descending"}]
    assert names(api, search_query_experimental="ant", order_by=relevance) == "acb"
    assert names(api, search_query_experimental="ant") == "cba"
    assert names(api, search_query_experimental='"ANT"') == "a"
    assert names(api, search_query_experimental="") == ""
    assert names(api, search_query_experimental="zebra") == ""


def test_filters(api: Api, animals: dict[str, str]) -> None:
    six = tag("legs", "6")
    assert names(api, filter=six) == "ba"
    assert names(api, filters=six) == "ba"
    assert names(api, filter=tag("legs", "6", "!=")) == "ec"
    assert names(api, filter={"type": "not", "child": six}) == "edc"
    assert names(api, filter={"type": "and", "children": [six, tag("wings", "4")]}) == "b"
    assert names(api, filter={"type": "or", "children": [tag("wings", ""), six]}) == "eba"
    assert names(api, filter={"type": "and", "children": []}) == "edcba"
    assert names(api, filter={"type": "or", "children": []}) == ""
    past = {"type": "time", "time": "2020-01-01T00:00:00+02:00", "comparison_operator": ">="}
    assert names(api, filter=past) == "edcba"
    assert names(api, filter={**past, "comparison_operator": "<"}) == ""


def test_times_are_those_of_the_last_change(api: Api) -> None:
    dataset = Dataset(api, "moments")
    old, new = dataset.create(chat(name="old"), chat(name="new"))
    (row,) = [row for row in dataset.rows() if row["id"] == new]
    written = datetime.fromisoformat(row["updated_at"]).replace(tzinfo=UTC)
    api.sql("SELECT sleep(1.1)")  # the next second
    dataset.rename({"id": new, "name": "newer"})
    limit = {"type": "time", "time": written.isoformat(timespec="seconds")}
    after = {**limit, "time": datetime.fromtimestamp(int(written.timestamp()) + 1, UTC)}
    after["time"] = after["time"].isoformat()
    assert dataset.ids(filter={**after, "comparison_operator": "<"}) == [old]
    assert dataset.ids(filter={**after, "comparison_operator": ">="}) == [new]
    assert dataset.ids(filter={**limit, "comparison_operator": ">"}) == [new, old]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"limit": -1}, "limit: "),
        ({"limit": 1.5}, "limit: "),
        ({"page_size": "1"}, "page_size: "),
        ({"offset": 2**32}, "offset: "),
        ({"filter": {"key": "a"}}, "missing field `type`"),
        (
            {
                "filter": {
                    "type": "float_metric",
                    "metric_name": "m",
                    "value": 1,
                    "comparison_operator": "=",
                }
            },
            "unknown variant `float_metric`",
        ),
        ({"order_by": [{"by": "metric", "name": "m"}]}, "unknown variant `metric`"),
        (
            {"order_by": [{"by": "search_relevance"}]},
            "OrderBy::SearchRelevance requires search_query_experimental to be provided",
        ),
    ],
)
def test_lists_that_are_refused(api: Api, fields: Any, text: str) -> None:
    assert text in refused(api, "POST", "/v1/datasets/animals/list_datapoints", fields)


def test_the_list_of_datasets(api: Api, animals: dict[str, str]) -> None:
    Dataset(api, "newest-dataset").create(extract())
    listed = answered(api, "GET", "/internal/datasets")["datasets"]
    assert list(listed[0]) == ["dataset_name", "datapoint_count", "last_updated"]
    assert listed[0]["dataset_name"] == "newest-dataset"
    assert datasets(api)["animals"]["datapoint_count"] == 5
    assert datasets(api, "?function_name=two")["animals"]["datapoint_count"] == 1
    first, second = (
        answered(api, "GET", f"/internal/datasets?limit=1&offset={n}")["datasets"] for n in (0, 1)
    )
    assert first + second == listed[:2]
    assert answered(api, "GET", "/internal/datasets?limit=0")["datasets"] == []
    assert answered(api, "GET", "/internal/datasets?offset=1")["datasets"] == listed[1:]
    for query in ("limit=-1", "limit=x", "limit=", "limit=1&limit=2", "function_name=%ff"):
        assert "query string" in refused(api, "GET", f"/internal/datasets?{query}", None)


def wait_for(api: Api, ids: list[str]) -> None:
    """Until they can be queried."""
    ends = time.monotonic() + 30
    found = set[str]()
    while not found.issuperset(ids):
        assert time.monotonic() < ends, "inferences are missing"
        rows = api.sql("SELECT uint_to_uuid(id_uint) AS id FROM InferenceById")
        found = {row["id"] for row in rows}
        time.sleep(0.02)


class Inferences:
    """Recorded ones: two of a chat function, one of a json function."""

    def __init__(self, api: Api) -> None:
        self.episode_id = ""
        self.ids: list[str] = []
        for fields in (
            {"function_name": "tools", "input": said("first"), "tags": {"set": "x"}},
            {"function_name": "two", "input": said("second")},
            {"function_name": "extract", "variant_name": "thinking", "input": said("third")},
        ):
            if self.episode_id:
                fields["episode_id"] = self.episode_id
            answer = api.ok(**fields)
            self.episode_id = answer["episode_id"]
            self.ids.append(answer["inference_id"])
        self.tools, self.two, self.json = self.ids
        wait_for(api, self.ids)


@pytest.fixture(scope="module")
def inferences(api: Api) -> Inferences:
    return Inferences(api)


def from_inferences(api: Api, name: str, **fields: Any) -> list[str]:
    path = f"/v1/datasets/{name}/from_inferences"
    return list(answered(api, "POST", path, fields)["ids"])


def by_ids(api: Api, name: str, *ids: str, **fields: Any) -> list[str]:
    return from_inferences(api, name, type="inference_ids", inference_ids=ids, **fields)


def test_copies_of_inferences(api: Api, inferences: Inferences) -> None:
    dataset = Dataset(api, "copies")
    third, second, first = by_ids(api, "copies", *inferences.ids, inferences.two)
    shown = dataset.one(first)
    recorded = api.row(inferences.tools)
    assert shown["source_inference_id"] == inferences.tools
    assert shown["episode_id"] == inferences.episode_id
    assert shown["is_custom"] is False
    assert "name" not in shown
    assert shown["tags"] == recorded["tags"] == {"set": "x", **recorded["tags"]}
    assert shown["input"] == recorded["input"]
    assert shown["output"] == recorded["output"]
    assert (shown["tool_choice"], shown["parallel_tool_calls"]) == ("required", True)
    assert dataset.one(second)["source_inference_id"] == inferences.two
    # Unlike a datapoint that is created, one without tools says so.
    assert dataset.one(second)["tool_choice"] == "auto"
    row = {row["id"]: row for row in dataset.rows()}[second]
    assert json.loads(row["allowed_tools"]) == {"tools": [], "choice": "function_default"}
    shown = dataset.one(third)
    assert (shown["type"], shown["source_inference_id"]) == ("json", inferences.json)
    assert shown["output_schema"]["required"] == ["name"]
    again = by_ids(api, "copies", *inferences.ids)
    assert set(again).isdisjoint({first, second, third})
    assert dataset.count() == 6
    api.ok(function_name="tools", input=shown["input"])


def test_one_that_is_not_there_leaves_all_uncopied(api: Api, inferences: Inferences) -> None:
    path = "/v1/datasets/not-copied/from_inferences"
    body = {"type": "inference_ids", "inference_ids": [inferences.two, UNKNOWN]}
    assert refused(api, "POST", path, body) == f"Inference {UNKNOWN} not found"
    body = {
        "type": "inference_ids",
        "inference_ids": [inferences.two],
        "output_source": "demonstration",
    }
    assert refused(api, "POST", path, body) == f"Inference {inferences.two} not found"
    assert by_ids(api, "not-copied") == []
    assert Dataset(api, "not-copied").count() == 0
    for body, text in (
        ({}, "missing field `type`"),
        ({"type": "other"}, "unknown variant `other`"),
        ({"type": "inference_ids"}, "missing field `inference_ids`"),
        ({"type": "inference_ids", "inference_ids": ["x"]}, "is not a UUID"),
        ({"type": "inference_query", "limit": -1}, "limit: "),
    ):
        assert text in refused(api, "POST", path, body)
    body = {"type": "inference_query", "function_name": "nobody"}
    assert refused(api, "POST", path, body, 404) == "Unknown function: nobody"


def test_copies_by_query(api: Api, inferences: Inferences) -> None:
    dataset = Dataset(api, "by-query")
    query = {"type": "inference_query", "episode_id": inferences.episode_id}
    ids = from_inferences(api, "by-query", **query)
    sources = [dataset.one(id_)["source_inference_id"] for id_ in ids]
    assert sources == inferences.ids[::-1]
    (limited,) = from_inferences(api, "by-query", **query, limit=1, offset=1)
    assert dataset.one(limited)["source_inference_id"] == inferences.two
    (one,) = from_inferences(api, "by-query", **query, function_name="two", output_source="none")
    assert "output" not in dataset.one(one)
    assert from_inferences(api, "by-query", **query, variant_name="nobody") == []


def test_a_query_without_limit_takes_all(api: Api) -> None:
    many = [api.ok(function_name="two", tags={"many": "1"})["inference_id"] for _ in range(25)]
    wait_for(api, many)
    filters = tag("many", "1")
    ids = from_inferences(api, "all-of-them", type="inference_query", filters=filters)
    assert len(ids) == 25
    assert len(Dataset(api, "all-of-them").list()) == 20


def test_demonstrations(api: Api, inferences: Inferences) -> None:
    better = json.dumps([{"type": "text", "text": "better"}])
    insert(
        api,
        "DemonstrationFeedback",
        {"id": UNKNOWN, "inference_id": inferences.two, "value": better, "tags": {}},
    )
    (id_,) = by_ids(api, "shown-better", inferences.two, output_source="demonstration")
    shown = Dataset(api, "shown-better").one(id_)
    assert shown["output"] == [{"type": "text", "text": "better"}]
    assert shown["is_custom"] is False
    assert shown["source_inference_id"] == inferences.two


def test_without_recording_nothing_is_there_and_nothing_is_written(silent: Api) -> None:
    path = "/v1/datasets/d"
    for method, sub, body in (
        ("POST", "/datapoints", {"datapoints": [chat()]}),
        ("PATCH", "/datapoints", {"datapoints": [{"type": "chat", "id": UNKNOWN}]}),
        ("PATCH", "/datapoints/metadata", {"datapoints": [{"id": UNKNOWN}]}),
        ("DELETE", "/datapoints", {"ids": [UNKNOWN]}),
        ("DELETE", "", None),
        ("POST", "/from_inferences", {"type": "inference_query"}),
    ):
        assert "observability" in refused(silent, method, path + sub, body)
    clone = "/internal/datasets/d/datapoints/clone"
    assert "observability" in refused(silent, "POST", clone, {"datapoint_ids": []})
    assert answered(silent, "POST", f"{path}/list_datapoints", {}) == {"datapoints": []}
    assert answered(silent, "POST", f"{path}/get_datapoints", {"ids": [UNKNOWN]}) == {
        "datapoints": []
    }
    assert answered(silent, "GET", "/internal/datasets") == {"datasets": []}
    count = ask(silent, "GET", "/internal/datasets/d/datapoints/count")
    assert count.json() == {"datapoint_count": 0}
