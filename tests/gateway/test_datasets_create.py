"""Creating datapoints and reading them by id: the contract's page on datasets, 8 to 10."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID

import pytest

from gateway.api import Api
from gateway.datapoints import HELLO, UNKNOWN, Dataset, ask, chat, datasets, extract, refused
from gateway.functions import FILES

TOOL_CALL = {
    "type": "tool_call",
    "id": "c",
    "raw_name": "weather",
    "raw_arguments": '{"city":"Rome"}',
}
EXTRA_TOOL = {
    "type": "function",
    "description": "More",
    "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "name": "more",
    "strict": False,
}


def tool_call(**fields: Any) -> list[dict[str, Any]]:
    return [{**TOOL_CALL, **fields}]


def test_a_dataset_begins_with_its_first_datapoint(api: Api) -> None:
    dataset = Dataset(api, "begins")
    assert "begins" not in datasets(api)
    chat_id, json_id = dataset.create(
        chat(
            output=[{"type": "text", "text": "hi"}],
            tags={"tensorzero::is": "allowed", "split": "train"},
            name="first",
            episode_id=UNKNOWN,
            something_new=1,
        ),
        extract(output={"raw": '{"name":"Ann"}', "parsed": "ignored"}),
    )
    assert UUID(chat_id).version == UUID(json_id).version == 7
    assert datasets(api)["begins"]["datapoint_count"] == 2
    assert dataset.count() == 2
    assert dataset.count("?function_name=extract") == 1
    one = dataset.one(chat_id)
    updated_at = one.pop("updated_at")
    assert len(updated_at) == 20
    assert updated_at == datasets(api)["begins"]["last_updated"]
    assert list(one.items()) == [
        ("type", "chat"),
        ("dataset_name", "begins"),
        ("function_name", "chat"),
        ("id", chat_id),
        ("episode_id", UNKNOWN),
        ("input", HELLO),
        ("output", [{"type": "text", "text": "hi"}]),
        ("provider_tools", []),
        ("tags", {"tensorzero::is": "allowed", "split": "train"}),
        ("is_deleted", False),
        ("is_custom", True),
        ("name", "first"),
    ]
    one = dataset.one(json_id)
    del one["updated_at"]
    assert list(one.items()) == [
        ("type", "json"),
        ("dataset_name", "begins"),
        ("function_name", "extract"),
        ("id", json_id),
        ("episode_id", None),
        ("input", HELLO),
        ("output", {"raw": '{"name":"Ann"}', "parsed": {"name": "Ann"}}),
        ("output_schema", json.loads(FILES["person.json"])),
        ("tags", {}),
        ("is_deleted", False),
        ("is_custom", True),
    ]
    row = dataset.rows()[0]
    assert row["snapshot_hash"]
    assert (row["source_inference_id"], row["staled_at"], row["auxiliary"]) == (None, None, "")
    assert (row["tool_choice"], row["tool_params"], row["allowed_tools"]) == (None, "", None)
    assert row["input"] == json.dumps(HELLO, separators=(",", ":"))


def test_calls_of_a_model_have_a_function_too(api: Api) -> None:
    dataset = Dataset(api, "default-function")
    (id_,) = dataset.create(chat(function_name="tensorzero::default"))
    assert dataset.one(id_)["function_name"] == "tensorzero::default"
    (new,) = dataset.update({"type": "chat", "id": id_, "input": {"messages": []}})
    assert dataset.one(new)["input"] == {"messages": []}


def test_outputs_that_are_wrong_are_kept(api: Api) -> None:
    dataset = Dataset(api, "wrong-outputs")
    none, empty, broken, other, free = dataset.create(
        extract(),
        extract(output={}),
        extract(output={"raw": "{"}),
        extract(output={"raw": '{"name":1}'}),
        extract(output={"raw": '{"name":1}'}, output_schema={"type": "object"}),
    )
    assert "output" not in dataset.one(none)
    assert dataset.one(empty)["output"] == {"raw": None, "parsed": None}
    assert dataset.one(broken)["output"] == {"raw": "{", "parsed": None}
    assert dataset.one(other)["output"] == {"raw": '{"name":1}', "parsed": None}
    assert dataset.one(free)["output"] == {"raw": '{"name":1}', "parsed": {"name": 1}}
    assert dataset.one(free)["output_schema"] == {"type": "object"}


def test_tool_calls_are_held_against_the_tools(api: Api) -> None:
    dataset = Dataset(api, "tool-calls")
    good, bad, unknown, extra, allowed, none, empty = dataset.create(
        chat(function_name="tools", output=tool_call(name="x", arguments={"lies": 1})),
        chat(function_name="tools", output=tool_call(raw_arguments="{}")),
        chat(function_name="tools", output=tool_call(raw_name="more")),
        chat(
            function_name="tools",
            additional_tools=[EXTRA_TOOL],
            output=tool_call(raw_name="more", raw_arguments='{"n":1}'),
        ),
        chat(
            function_name="tools",
            allowed_tools=["weather", "clock"],
            output=tool_call(raw_name="time_of_day", raw_arguments="{}"),
        ),
        chat(output=tool_call()),
        chat(output=[]),
    )

    def call(id_: str) -> tuple[Any, Any]:
        block = dataset.one(id_)["output"][0]
        return block["name"], block["arguments"]

    assert call(good) == ("weather", {"city": "Rome"})
    assert call(bad) == ("weather", None)
    assert call(unknown) == (None, None)
    assert call(extra) == ("more", {"n": 1})
    assert call(allowed) == ("time_of_day", {})
    assert call(none) == (None, None)
    assert dataset.one(empty)["output"] == []


def test_tools_are_stored_as_inferences_store_them(api: Api) -> None:
    dataset = Dataset(api, "tools")
    own, given, lost = dataset.create(
        chat(function_name="tools", provider_tools=None),
        chat(
            function_name="tools",
            allowed_tools=["weather", "more"],
            additional_tools=[EXTRA_TOOL],
            tool_choice={"specific": "more"},
            parallel_tool_calls=False,
            provider_tools=[{"scope": {"model_name": "m"}, "tool": {"web": 1}}],
        ),
        chat(tool_choice="none", parallel_tool_calls=True, allowed_tools=[]),
    )
    shown = dataset.one(own)
    assert (shown["tool_choice"], shown["parallel_tool_calls"]) == ("required", True)
    assert "allowed_tools" not in shown
    assert "additional_tools" not in shown
    shown = dataset.one(given)
    assert shown["allowed_tools"] == ["weather", "more"]
    assert shown["additional_tools"] == [EXTRA_TOOL]
    assert shown["tool_choice"] == {"specific": "more"}
    assert shown["parallel_tool_calls"] is False
    assert shown["provider_tools"] == [{"scope": {"model_name": "m"}, "tool": {"web": 1}}]
    assert "tool_choice" not in dataset.one(lost)
    rows = {row["id"]: row for row in dataset.rows()}
    assert json.loads(rows[own]["allowed_tools"]) == {
        "tools": ["weather"],
        "choice": "function_default",
    }
    assert json.loads(rows[own]["tool_params"])["tools_available"][0]["name"] == "weather"
    assert rows[lost]["tool_choice"] is None


def test_files_are_stored_before_the_row(api: Api) -> None:
    dataset = Dataset(api, "files")
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n-datapoint").decode()
    sent = {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "file", "file_type": "base64", "data": png}],
            }
        ]
    }
    (id_,) = dataset.create(chat(input=sent))
    one = dataset.one(id_)
    (block,) = one["input"]["messages"][0]["content"]
    assert list(block) == ["type", "file_type", "source_url", "mime_type", "storage_path"]
    assert (block["file_type"], block["mime_type"]) == ("object_storage_pointer", "image/png")
    stored = api.client.get(
        f"{api.url}/internal/object_storage",
        params={"storage_path": json.dumps(block["storage_path"])},
    )
    assert stored.json()["data"] == png
    # What was read can be sent as it is: to be answered, and to another datapoint.
    assert api.ok(function_name="chat", input=one["input"])["content"]
    (again,) = dataset.update({"type": "chat", "id": id_, "input": one["input"]})
    assert dataset.one(again)["input"] == one["input"]
    url = {"type": "file", "file_type": "url", "url": "http://127.0.0.1:9/none.png"}
    text = dataset.not_created(chat(input={"messages": [{"role": "user", "content": [url]}]}))
    assert text.startswith("Failed to convert chat datapoint to database insert: Error fetching")


@pytest.mark.parametrize(
    ("datapoint", "text"),
    [
        (chat(function_name="nobody"), "chat datapoint to database insert: Unknown function: nob"),
        (extract(function_name="nobody"), "json datapoint to database insert: Unknown function: "),
        (chat(function_name="extract"), "Function 'extract' is not configured as a chat function"),
        (extract(function_name="chat"), "Function 'chat' is not configured as a JSON function"),
        (chat(function_name="typed"), "`input.system` is missing"),
        (
            chat(function_name="typed", input={"system": {"tone": 1}, "messages": []}),
            "JSON Schema validation failed",
        ),
        (chat(allowed_tools=["nothing"]), "Tool not found: nothing"),
        (chat(additional_tools=[EXTRA_TOOL, EXTRA_TOOL]), "Duplicate tool name: more"),
        (
            extract(output_schema={"type": "nonsense"}),
            "Error in compiling client-provided JSON schema: ",
        ),
    ],
)
def test_one_fault_leaves_all_uncreated(api: Api, datapoint: Any, text: str) -> None:
    dataset = Dataset(api, "faults")
    error = dataset.not_created(chat(), datapoint)
    assert error.startswith("Failed to convert ")
    assert text in error
    assert dataset.count() == 0


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "missing field `datapoints`"),
        ([], "invalid type: sequence"),
        ({"datapoints": {}}, "datapoints: invalid type: map"),
        ({"datapoints": [1]}, "datapoints[0]: invalid type: integer `1`"),
        ({"datapoints": [{**chat(), "type": None}]}, "datapoints[0].type"),
        ({"datapoints": [{"function_name": "chat", "input": HELLO}]}, "missing field `type`"),
        ({"datapoints": [{"type": "chat", "input": HELLO}]}, "missing field `function_name`"),
        ({"datapoints": [{"type": "chat", "function_name": "chat"}]}, "missing field `input`"),
        ({"datapoints": [chat(input={"x": 1})]}, "datapoints[0].input: unknown field `x`"),
        ({"datapoints": [chat(output={"raw": "x"})]}, "datapoints[0].output: invalid type: map"),
        ({"datapoints": [extract(output=[])]}, "datapoints[0].output: invalid type: sequence"),
        ({"datapoints": [extract(output={"raw": 1})]}, "datapoints[0].output.raw: invalid type"),
        (
            {"datapoints": [chat(output=[{"type": "tool_call", "id": "c", "name": "n"}])]},
            "missing field `raw_name`",
        ),
        ({"datapoints": [chat(tags={"a": 1})]}, "datapoints[0].tags.a"),
        ({"datapoints": [chat(episode_id="x")]}, "is not a UUID"),
        ({"datapoints": [chat(name=1)]}, "datapoints[0].name"),
        ({"datapoints": []}, "At least one datapoint must be provided"),
    ],
)
def test_requests_that_are_refused(api: Api, body: Any, text: str) -> None:
    assert text in refused(api, "POST", "/v1/datasets/refused/datapoints", body)


def test_a_large_request_is_cut_and_its_faults_are_named(api: Api) -> None:
    dataset = Dataset(api, "large")
    many = [chat(name=f"{n}", tags={"pad": "x" * 400}) for n in range(1500)]
    ids = dataset.create(*many)
    assert len(set(ids)) == 1500
    assert dataset.count() == 1500
    shown = {one["id"]: one["name"] for one in dataset.get(*ids)}
    assert [shown[id_] for id_ in ids] == [f"{n}" for n in range(1500)]
    assert "datapoints[1500].function_name: " in dataset.not_created(*many, chat(function_name=1))
    body = json.dumps({"datapoints": many})[:-2]
    answer = ask(api, "POST", f"{dataset.path}/datapoints", None, content=body)
    assert answer.status_code == 400
    assert "Failed to parse the request body as JSON" in answer.json()["error"]
    assert dataset.drop() == 1500
    assert dataset.count() == 0


def test_what_is_read_by_id(api: Api) -> None:
    dataset, other = Dataset(api, "by-id"), Dataset(api, "by-id-other")
    first, second = dataset.create(chat(), extract())
    assert dataset.get() == []
    assert dataset.get(UNKNOWN) == []
    assert other.get(first) == []
    found = [one["id"] for one in dataset.get(first, second, first, UNKNOWN)]
    assert found == [second, first]
    answer = ask(api, "POST", "/v1/datasets/get_datapoints", {"ids": [first]})
    assert [one["id"] for one in answer.json()["datapoints"]] == [first]
    assert "`/v1/datasets/get_datapoints` is deprecated" in api.log
    assert ask(api, "DELETE", "/v1/datasets/get_datapoints").status_code == 405
    assert ask(api, "GET", f"{dataset.path}/datapoints").status_code == 405
    assert ask(api, "GET", "/datasets/x/datapoints").status_code == 404
