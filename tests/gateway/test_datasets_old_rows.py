"""Rows that the reference wrote, today or years ago: they are read in today's form."""

from __future__ import annotations

import json
from typing import Any

from gateway.api import Api
from gateway.datapoints import Dataset, insert
from tzcore.uuid7 import uuid7

POINTER = {"kind": {"type": "filesystem", "path": "/files"}, "path": "observability/a.png"}
OLD_INPUT = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "value": "old text"}]},
        {"role": "user", "content": [{"type": "text", "value": {"name": "Ann"}}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "image",
                    "image": {"url": "https://example.com/a.png", "mime_type": "image/png"},
                    "storage_path": POINTER,
                }
            ],
        },
    ]
}
INPUT = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "old text"}]},
        {
            "role": "user",
            "content": [{"type": "template", "name": "user", "arguments": {"name": "Ann"}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "file",
                    "file_type": "object_storage_pointer",
                    "source_url": "https://example.com/a.png",
                    "mime_type": "image/png",
                    "storage_path": POINTER,
                }
            ],
        },
    ]
}
LEGACY_TOOLS = {
    "tools_available": [{"description": "d", "parameters": {}, "name": "weather", "strict": False}],
    "tool_choice": "required",
    "parallel_tool_calls": True,
}


def row(dataset: str, **columns: Any) -> dict[str, Any]:
    return {
        "dataset_name": dataset,
        "function_name": "tools",
        "id": uuid7(),
        "input": json.dumps(OLD_INPUT),
        "tags": {},
        "auxiliary": "{}",
        **columns,
    }


def test_old_chat_rows(api: Api) -> None:
    dataset = Dataset(api, "old-chat")
    old = row(
        "old-chat", tool_params=json.dumps(LEGACY_TOOLS), output='[{"type":"text","text":""}]'
    )
    insert(api, "ChatInferenceDatapoint", old)
    shown = dataset.one(old["id"])
    assert shown["input"] == INPUT
    assert shown["output"] == [{"type": "text", "text": ""}]
    assert (shown["tool_choice"], shown["parallel_tool_calls"]) == ("required", True)
    assert shown.keys() & {"additional_tools", "allowed_tools", "name", "staled_at"} == set()
    assert dataset.ids() == [old["id"]]
    # What is not changed is copied, what is read for a change is read in today's form.
    (renamed,) = dataset.update({"type": "chat", "id": old["id"], "name": "n"})
    (chosen,) = dataset.update({"type": "chat", "id": renamed, "tool_choice": "none"})
    rows = {found["id"]: found for found in dataset.rows()}
    assert rows[renamed]["input"] == old["input"]
    assert rows[renamed]["tool_params"] == old["tool_params"]
    assert rows[renamed]["tool_choice"] is None
    assert (rows[chosen]["tool_choice"], rows[chosen]["parallel_tool_calls"]) == ("none", True)
    assert rows[old["id"]]["snapshot_hash"] is None
    assert rows[renamed]["snapshot_hash"] is not None
    assert rows[old["id"]]["auxiliary"] == rows[chosen]["auxiliary"] == "{}"


def test_old_json_rows(api: Api) -> None:
    dataset = Dataset(api, "old-json")
    old = row("old-json", function_name="extract", output='{"raw":"x"}', output_schema="{}")
    broken = row("old-json", function_name="gone", output_schema='{"type":"nonsense"}')
    for columns in (old, broken):
        insert(api, "JsonInferenceDatapoint", columns)
    assert dataset.one(old["id"])["output"] == {"raw": "x", "parsed": None}
    assert dataset.one(old["id"])["output_schema"] == {}
    # The function is not configured any more: names can be changed, content cannot.
    assert dataset.rename({"id": broken["id"], "name": "n"}) == [broken["id"]]
    update = {"type": "json", "id": broken["id"], "tags": {}}
    assert dataset.not_updated(update, status=404) == "Unknown function: gone"
    kept = row("old-json", function_name="extract", output_schema='{"type":"nonsense"}')
    insert(api, "JsonInferenceDatapoint", kept)
    text = dataset.not_updated({"type": "json", "id": kept["id"], "tags": {}})
    assert "Error in compiling client-provided JSON schema" in text
    (new,) = dataset.update({"type": "json", "id": kept["id"], "output_schema": {}})
    assert dataset.one(new)["output_schema"] == {}


def test_a_row_that_cannot_be_read_fails_what_shows_it(api: Api) -> None:
    dataset = Dataset(api, "unreadable")
    bad = row("unreadable", input='{"messages":[{"role":"user","content":[{"type":"text"}]}]}')
    insert(api, "ChatInferenceDatapoint", bad)
    answer = api.client.post(f"{api.url}{dataset.path}/list_datapoints", json={})
    assert answer.status_code == 500
    assert "Error deserializing ClickHouse response: " in answer.json()["error"]
    assert dataset.delete(bad["id"]) == 1
    assert dataset.list() == []
