"""Whatever a text holds, it is a value: in the path, in a body, in a query, in the database."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote

import pytest

from gateway.api import Api
from gateway.datapoints import UNKNOWN, Dataset, answered, ask, chat, datasets, extract

HOSTILE = (
    "it's",
    '"double" `back`',
    "\\'\\",
    "\\N",
    "NULL",
    "a\0b",
    "tab\tnew\nline\r\b\f",
    "x' OR '1'='1",
    "'; DROP TABLE ChatInferenceDatapoint; --",
    "/* comment */ -- # {p0:String} {dataset_name:String}",
    "a/b/../c?d#e&f=g+h %27 %00 %5C %2F",
    "{}[](),:;",
    "ünïcødé 文字 🙂 \u202e\ufeff",
    " ",
    "x" * 2000,
)


def said(text: str) -> Any:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_text_is_a_value_everywhere(api: Api, text: str) -> None:
    canary = Dataset(api, f"canary {HOSTILE.index(text)}")
    (untouched,) = canary.create(chat(name="canary", tags={"k": "v"}))
    dataset = Dataset(api, text)
    function = {"type": "chat", "function_name": text, "input": said(text)}
    assert f"Unknown function: {text}" in dataset.not_created(function)
    fields: dict[str, Any] = {"name": text, "tags": {text: text}, "input": said(f"<{text}>")}
    first, second = dataset.create(
        chat(output=[{"type": "text", "text": text}], **fields),
        extract(output={"raw": text}, **fields),
    )
    assert dataset.count() == 2
    assert dataset.count(f"?function_name={quote(text, safe='')}") == 0
    assert datasets(api)[text]["datapoint_count"] == 2
    assert datasets(api, f"?function_name={quote(text, safe='')}") == {}
    for id_, output in ((first, [{"type": "text", "text": text}]), (second, {"raw": text})):
        one = dataset.one(id_)
        assert (one["dataset_name"], one["name"], one["tags"]) == (text, text, {text: text})
        assert one["input"] == said(f"<{text}>")
        assert one["output"] == (output if id_ == first else {**output, "parsed": None})
    tag = {"type": "tag", "key": text, "value": text, "comparison_operator": "="}
    assert dataset.ids(filter=tag) == [second, first]
    assert dataset.ids(filter={**tag, "comparison_operator": "!="}) == []
    assert dataset.ids(filter={**tag, "value": f"{text}'"}) == []
    assert dataset.ids(search_query_experimental=f"<{text}>") == [second, first]
    assert dataset.ids(search_query_experimental=f"{text}|{text}") == []
    assert dataset.ids(function_name=text) == []
    (clone,) = Dataset(api, f"{text} 2").clone(first)
    assert Dataset(api, f"{text} 2").one(clone)["name"] == text
    changed = {"name": f"{text}{text}", "tags": {f"{text}{text}": ""}}
    (new,) = dataset.update({"type": "chat", "id": first, **changed})
    assert {**dataset.one(new), **changed} == dataset.one(new)
    dataset.rename({"id": new, "name": text})
    assert dataset.one(new)["name"] == text
    for query in ({"function_name": text}, {"variant_name": text}, {"filters": tag}):
        answer = ask(
            api,
            "POST",
            f"{dataset.path}/from_inferences",
            {"type": "inference_query", "search_query_experimental": f"{text}{text}", **query},
        )
        assert answer.status_code == (404 if "function_name" in query else 200), answer.text
        assert "function_name" in query or answer.json() == {"ids": []}
    assert dataset.delete(new) == 1
    assert dataset.drop() == 1
    assert Dataset(api, f"{text} 2").drop() == 1
    assert canary.one(untouched)["tags"] == {"k": "v"}
    assert canary.ids() == [untouched]


def test_a_text_is_no_id(api: Api) -> None:
    dataset = Dataset(api, "no-ids")
    for text, (method, path, body) in itertools.product(
        ("'", f"{UNKNOWN}' OR 1", "\0", None, 7, {}, f"{{{UNKNOWN}"),
        (
            ("POST", "/get_datapoints", lambda id_: {"ids": [id_]}),
            ("DELETE", "/datapoints", lambda id_: {"ids": [id_]}),
            ("PATCH", "/datapoints", lambda id_: {"datapoints": [{"type": "chat", "id": id_}]}),
            ("PATCH", "/datapoints/metadata", lambda id_: {"datapoints": [{"id": id_}]}),
            (
                "POST",
                "/from_inferences",
                lambda id_: {"type": "inference_ids", "inference_ids": [id_]},
            ),
        ),
    ):
        answer = ask(api, method, dataset.path + path, body(text))
        assert answer.status_code == 400, answer.text
    answer = ask(
        api, "POST", "/internal/datasets/no-ids/datapoints/clone", {"datapoint_ids": ["'"]}
    )
    assert answer.status_code == 400


def test_names_are_segments_of_a_path(api: Api) -> None:
    assert ask(api, "POST", "/v1/datasets/a/b/list_datapoints", {}).status_code == 404
    assert ask(api, "POST", "/v1/datasets//list_datapoints", {}).status_code == 404
    # No UTF-8: it names nothing.
    assert ask(api, "POST", "/v1/datasets/%ff/list_datapoints", {}).status_code == 404
    (id_,) = Dataset(api, "a/b").create(chat())
    for spelled in ("a%2Fb", "a%2fb", "%61%2F%62"):
        body = {"ids": [id_]}
        found = answered(api, "POST", f"/v1/datasets/{spelled}/get_datapoints", body)
        assert found["datapoints"][0]["dataset_name"] == "a/b"
    # A route may be spelled with escapes too.
    path = "/v1/datasets/a%2Fb/list%5Fdatapoints"
    assert [one["id"] for one in answered(api, "POST", path, {})["datapoints"]] == [id_]
