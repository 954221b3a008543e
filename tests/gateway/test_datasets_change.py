"""Updating, deleting and cloning datapoints: the contract's page on datasets, 12 to 15."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Api
from gateway.datapoints import HELLO, UNKNOWN, Dataset, ask, chat, datasets, extract, refused

OTHER = {"messages": [{"role": "user", "content": [{"type": "text", "text": "other"}]}]}
TEXT = [{"type": "text", "text": "hi"}]
TOOL = {
    "type": "function",
    "description": "More",
    "parameters": {"type": "object"},
    "name": "more",
    "strict": False,
}


def full(**fields: Any) -> dict[str, Any]:
    return chat(output=TEXT, tags={"a": "1"}, name="n", episode_id=UNKNOWN, **fields)


def test_an_update_makes_a_new_datapoint_and_stales_the_old(api: Api) -> None:
    dataset = Dataset(api, "update")
    (old,) = dataset.create(full())
    before = dataset.one(old)
    (new,) = dataset.update({"type": "chat", "id": old, "unknown": 1})
    assert new != old
    after = dataset.one(new)
    assert {**after, "id": old, "updated_at": before["updated_at"]} == before
    stale = dataset.one(old)
    staled_at = stale.pop("staled_at")
    assert len(staled_at) == len("2026-01-31 12:00:00.123456")
    assert staled_at[10] == " "
    assert {**stale, "updated_at": before["updated_at"]} == before
    assert dataset.ids() == [new]
    assert dataset.count() == 1
    text = dataset.not_updated({"type": "chat", "id": old}, status=404)
    assert text == f"Datapoint not found for dataset: update and id: {old}"
    row_old, row_new = dataset.rows()
    assert row_old["snapshot_hash"] == row_new["snapshot_hash"] is not None
    assert row_old["staled_at"] == row_old["updated_at"] == row_new["updated_at"]


def test_what_is_absent_stays_and_null_clears(api: Api) -> None:
    dataset = Dataset(api, "three-states")
    ids = dataset.create(full(), full(), full(), full(), full())
    kept, cleared, emptied, replaced, same = dataset.update(
        {"type": "chat", "id": ids[0]},
        {"type": "chat", "id": ids[1], "output": None, "name": None},
        {"type": "chat", "id": ids[2], "tags": {}},
        {
            "type": "chat",
            "id": ids[3],
            "input": OTHER,
            "output": [],
            "tags": {"b": "2"},
            "name": "m",
        },
        {"type": "chat", "id": ids[4], "tags": None, "input": None, "additional_tools": None},
    )
    assert dataset.one(kept)["output"] == TEXT
    assert dataset.one(cleared).keys() & {"output", "name"} == set()
    assert dataset.one(cleared)["tags"] == {"a": "1"}
    assert dataset.one(emptied)["tags"] == {}
    shown = dataset.one(replaced)
    assert (shown["input"], shown["output"]) == (OTHER, [])
    assert (shown["tags"], shown["name"]) == ({"b": "2"}, "m")
    assert (dataset.one(same)["tags"], dataset.one(same)["input"]) == ({"a": "1"}, HELLO)


def test_an_updated_chat_output_is_stored_as_it_is_sent(api: Api) -> None:
    dataset = Dataset(api, "as-sent")
    (old,) = dataset.create(chat(function_name="tools"))
    call = {
        "type": "tool_call",
        "id": "c",
        "raw_name": "nothing",
        "raw_arguments": "{}",
        "name": "invented",
        "arguments": {"x": 1},
    }
    (new,) = dataset.update({"type": "chat", "id": old, "output": [call]})
    assert dataset.one(new)["output"] == [call]


def test_json_outputs_are_held_against_the_schema_in_force(api: Api) -> None:
    dataset = Dataset(api, "json-update")
    (id_,) = dataset.create(extract(output={"raw": '{"name":"Ann"}'}))
    (id_,) = dataset.update({"type": "json", "id": id_, "output": {"raw": "{"}})
    assert dataset.one(id_)["output"] == {"raw": "{", "parsed": None}
    (id_,) = dataset.update({"type": "json", "id": id_, "output": {"raw": '{"name":"Bob"}'}})
    # A schema alone does not touch what was parsed.
    never = {"type": "object", "required": ["age"]}
    (id_,) = dataset.update({"type": "json", "id": id_, "output_schema": never})
    assert dataset.one(id_)["output"] == {"raw": '{"name":"Bob"}', "parsed": {"name": "Bob"}}
    assert dataset.one(id_)["output_schema"] == never
    both = {"output": {"raw": '{"age":1}'}, "output_schema": None}
    (id_,) = dataset.update({"type": "json", "id": id_, **both})
    assert dataset.one(id_)["output"] == {"raw": '{"age":1}', "parsed": {"age": 1}}
    bad = {"type": "json", "id": id_, "output_schema": {"type": "nonsense"}}
    assert "Error in compiling client-provided JSON schema" in dataset.not_updated(bad)


def test_tools_are_put_together_again_when_one_field_is_sent(api: Api) -> None:
    dataset = Dataset(api, "tool-update")
    given = {
        "function_name": "tools",
        "allowed_tools": ["weather", "more"],
        "additional_tools": [TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "provider_tools": [{"scope": None, "tool": {"web": 1}}],
    }
    first, second, third = dataset.create(chat(**given), chat(**given), chat())
    kept, cleared, added = dataset.update(
        {"type": "chat", "id": first, "tool_choice": "none"},
        {
            "type": "chat",
            "id": second,
            "allowed_tools": None,
            "tool_choice": None,
            "parallel_tool_calls": None,
            "additional_tools": [],
            "provider_tools": [],
        },
        {"type": "chat", "id": third, "additional_tools": [TOOL]},
    )
    shown = dataset.one(kept)
    assert shown["tool_choice"] == "none"
    assert shown["allowed_tools"] == ["weather", "more"]
    assert shown["additional_tools"] == [TOOL]
    assert shown["provider_tools"] == given["provider_tools"]
    assert shown["parallel_tool_calls"] is False
    shown = dataset.one(cleared)
    # The function's own settings.
    assert (shown["tool_choice"], shown["parallel_tool_calls"]) == ("required", True)
    assert shown.keys() & {"allowed_tools", "additional_tools"} == set()
    assert shown["provider_tools"] == []
    shown = dataset.one(added)
    assert (shown["tool_choice"], shown["additional_tools"]) == ("auto", [TOOL])
    assert "Tool not found: more" in dataset.not_updated(
        {"type": "chat", "id": kept, "additional_tools": []}
    )


@pytest.mark.parametrize(
    ("fields", "text", "status"),
    [
        (
            {"type": "json"},
            "Datapoint {id} is a chat datapoint but a JSON update was provided",
            400,
        ),
        ({"input": {"messages": [], "system": {"tone": 1}}}, "JSON Schema validation failed", 400),
        ({"input": {"messages": []}}, "`input.system` is missing", 400),
        ({"allowed_tools": ["nothing"]}, "Tool not found: nothing", 400),
        ({"additional_tools": [TOOL, TOOL]}, "Duplicate tool name: more", 400),
        ({"id": UNKNOWN}, f"Datapoint not found for dataset: faulty and id: {UNKNOWN}", 404),
    ],
)
def test_one_faulty_update_writes_nothing(api: Api, fields: Any, text: str, status: int) -> None:
    dataset = Dataset(api, "faulty")
    system = {"system": {"tone": "dry"}, "messages": []}
    good, bad = dataset.create(chat(), chat(function_name="typed", input=system))
    error = dataset.not_updated(
        {"type": "chat", "id": good},
        {"type": "chat", "id": bad, **fields},
        status=status,
    )
    assert error.startswith(text.format(id=bad))
    assert {good, bad} <= set(dataset.ids(limit=1000))


def test_updates_that_are_refused(api: Api) -> None:
    dataset, other = Dataset(api, "refused-updates"), Dataset(api, "refused-elsewhere")
    (json_id,) = dataset.create(extract())
    chat_update = {"type": "chat", "id": json_id}
    assert dataset.not_updated() == "At least one datapoint must be provided"
    text = dataset.not_updated(chat_update, chat_update)
    assert text == f"Duplicate datapoint id provided: {json_id}"
    text = dataset.not_updated(chat_update)
    assert text == f"Datapoint {json_id} is a JSON datapoint but a chat update was provided"
    # One after the other.
    missing = {"type": "chat", "id": UNKNOWN}
    assert dataset.not_updated(chat_update, missing) == text
    assert "not found" in dataset.not_updated(missing, chat_update, status=404)
    text = other.not_updated({"type": "json", "id": json_id}, status=404)
    assert text.startswith("Datapoint not found for dataset: refused-elsewhere")
    assert "missing field `type`" in dataset.not_updated({"id": json_id})
    assert "missing field `id`" in dataset.not_updated({"type": "json"})
    assert "datapoints[0].output.raw" in dataset.not_updated(
        {"type": "json", "id": json_id, "output": {"raw": []}}
    )
    path = f"{dataset.path}/datapoints/metadata"
    text = refused(api, "PATCH", path, {"datapoints": []})
    assert text == "At least one datapoint must be provided"
    body = {"datapoints": [{"id": json_id}, {"id": json_id}]}
    assert "Duplicate datapoint id" in refused(api, "PATCH", path, body)
    body = {"datapoints": [{"id": json_id}, {"id": UNKNOWN}]}
    assert "Datapoint not found" in refused(api, "PATCH", path, body, 404)


def test_metadata_changes_in_place(api: Api) -> None:
    dataset = Dataset(api, "metadata")
    (id_,) = dataset.create(full())
    before, (row_before,) = dataset.one(id_), dataset.rows()
    assert dataset.rename({"id": id_.upper(), "name": "new"}) == [id_]
    assert dataset.one(id_)["name"] == "new"
    assert dataset.rename({"id": id_}) == [id_]
    assert dataset.one(id_)["name"] == "new"
    dataset.rename({"id": id_, "name": None})
    after, (row_after,) = dataset.one(id_), dataset.rows()
    assert "name" not in after
    del before["name"], before["updated_at"], after["updated_at"]
    assert after == before
    assert row_after["updated_at"] > row_before["updated_at"]
    assert row_after["snapshot_hash"] == row_before["snapshot_hash"]


def test_deleting_counts_what_is_newly_stale(api: Api) -> None:
    dataset, other = Dataset(api, "delete"), Dataset(api, "delete-elsewhere")
    first, second, third = dataset.create(chat(), extract(), chat())
    assert other.delete(first) == 0
    assert dataset.delete(first, second, first, UNKNOWN) == 2
    assert dataset.delete(first, second) == 0
    assert dataset.ids() == [third]
    assert dataset.count() == 1
    assert "staled_at" in dataset.one(first)
    text = refused(api, "DELETE", f"{dataset.path}/datapoints", {"ids": []})
    assert text == "ids must be a non-empty list"
    assert "missing field `ids`" in refused(api, "DELETE", f"{dataset.path}/datapoints", {})


@pytest.mark.parametrize("coding", ["gzip", "unknown"])
def test_deleting_a_dataset_reads_no_body(api: Api, coding: str) -> None:
    url, headers = f"{api.url}/v1/datasets/nobody", {"content-encoding": coding}
    answer = api.client.request("DELETE", url, content=b"\xff no body", headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"num_deleted_datapoints": 0})
    assert api.client.request("DELETE", f"{url}/datapoints", content=b"x", headers=headers).is_error


def test_deleting_a_dataset(api: Api) -> None:
    dataset = Dataset(api, "dropped")
    first, second = dataset.create(chat(), extract())
    assert datasets(api)["dropped"]["datapoint_count"] == 2
    assert dataset.drop() == 2
    assert dataset.drop() == 0
    assert "dropped" not in datasets(api)
    assert dataset.list() == []
    assert len(dataset.get(first, second)) == 2
    (again,) = dataset.create(chat())
    assert dataset.ids() == [again]
    assert datasets(api)["dropped"]["datapoint_count"] == 1


def test_clones_keep_everything_but_their_ids(api: Api) -> None:
    source, target = Dataset(api, "clone-source"), Dataset(api, "clone-target")
    first, second, stale = source.create(full(function_name="tools"), extract(), chat())
    source.delete(stale)
    new = target.clone(second, UNKNOWN, first, stale, second)
    assert new[1] is None
    assert new[3] is None
    assert new[0] == new[4] != second
    copy, original = target.one(new[2]), source.one(first)
    assert copy["updated_at"] >= original["updated_at"]
    for shown in (copy, original):
        del shown["updated_at"]
    assert copy == {**original, "id": new[2], "dataset_name": "clone-target"}
    (row,), (copied,) = source.rows("Json"), target.rows("Json")
    assert copied == {
        **row,
        "id": new[0],
        "dataset_name": "clone-target",
        "updated_at": copied["updated_at"],
    }
    assert target.count() == 2
    assert source.count() == 2
    assert target.clone() == []
    assert len(set(target.clone(new[0])) & {new[0]}) == 0
    assert target.count() == 3


@pytest.mark.parametrize("name", ["builder", "tensorzero::x"])
def test_names_that_are_taken(api: Api, name: str) -> None:
    dataset = Dataset(api, name)
    text = (
        f'Invalid dataset name: {name}. Datasets cannot be named "builder" or begin with '
        '"tensorzero::"'
    )
    internal = f"/internal{dataset.path[3:]}"
    for method, path, body in (
        ("POST", f"{dataset.path}/datapoints", {"datapoints": []}),
        ("PATCH", f"{dataset.path}/datapoints", {"datapoints": []}),
        ("PATCH", f"{dataset.path}/datapoints/metadata", {"datapoints": []}),
        ("DELETE", f"{dataset.path}/datapoints", {"ids": []}),
        ("DELETE", dataset.path, None),
        ("POST", f"{dataset.path}/from_inferences", {"type": "inference_query"}),
        ("POST", f"{dataset.path}/list_datapoints", {}),
        ("POST", f"{dataset.path}/get_datapoints", {"ids": []}),
        ("POST", f"{internal}/datapoints/clone", {"datapoint_ids": []}),
    ):
        assert refused(api, method, path, body) == text
        if body is not None:
            assert "Failed to parse" in refused(api, method, path, None)
    assert ask(api, "GET", f"{internal}/datapoints/count").status_code == 200
    for fine in ("Builder", "builders", "tensorzero:x"):
        assert Dataset(api, fine).list() == []
