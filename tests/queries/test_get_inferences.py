"""``POST /v1/inferences/get_inferences``, and what inferences look like."""

from __future__ import annotations

import base64
import random
from typing import Any
from uuid import UUID

import orjson
import pytest

from queries.recorded import Recorded, id_at, newest_first, text_output

UNKNOWN = "0190f000-0000-7000-8000-000000000001"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SHARED = ["tags", "extra_body", "inference_params", "processing_time_ms", "ttft_ms"]
HEAD = ["type", "function_name", "variant_name", "input", "output", "dispreferred_outputs"]
IDS = ["timestamp", "episode_id", "inference_id"]


def ids(inferences: list[dict[str, Any]]) -> list[str]:
    return [inference["inference_id"] for inference in inferences]


def test_ids_come_newest_first_and_once(recorded: Recorded) -> None:
    chat = [id_at("2026-01-20T00:00:00") for _ in range(3)]
    json = [id_at("2026-01-20T00:00:00") for _ in range(3)]
    recorded.chat("pages", *chat, variant_name="get")
    recorded.json("pages_json", *json, variant_name="get")
    everything = newest_first([*chat, *json])
    asked = [*chat, UNKNOWN, *json, chat[0], chat[0].upper(), f"urn:uuid:{json[0]}"]
    assert ids(recorded.get(*asked)) == everything
    assert recorded.get() == []
    assert recorded.get(UNKNOWN) == []
    assert ids(recorded.get(*asked, function_name="pages")) == newest_first(chat)
    assert ids(recorded.get(*asked, function_name="pages_json", output_source="none")) == (
        newest_first(json)
    )


def test_ids_need_not_be_of_version_7(recorded: Recorded) -> None:
    other = "0190f000-0000-4000-8000-0000000000aa"
    recorded.chat("pages", other, variant_name="version_4")
    assert ids(recorded.get(other)) == [other]
    assert recorded.ids(variant_name="version_4") == [other]


def test_there_is_no_limit_on_ids(recorded: Recorded) -> None:
    many = [id_at("2026-01-21T00:00:00") for _ in range(1201)]
    recorded.chat("pages", *many, variant_name="many")
    asked = random.Random(1).sample(many, len(many))
    assert ids(recorded.get(*asked)) == newest_first(many)
    assert recorded.ids(variant_name="many", limit=1100) == newest_first(many)[:1100]
    assert recorded.ids(variant_name="many", limit=2**32 - 1) == newest_first(many)


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("missing field `ids`", {}),
        ("ids: invalid type: null", {"ids": None}),
        ("ids[1]: UUID parsing failed", {"ids": [UNKNOWN, "x"]}),
        ("ids[0]: invalid type: integer", {"ids": [1]}),
        ("function_name: ", {"ids": [], "function_name": 1}),
        ("output_source: unknown variant", {"ids": [], "output_source": "x"}),
        ("expected an object", [UNKNOWN]),
    ],
)
def test_requests_of_the_wrong_shape(recorded: Recorded, part: str, body: Any) -> None:
    answer = recorded.post("get_inferences", body)
    assert answer.status_code == 400, answer.text
    assert part in answer.json()["error"]


def test_a_chat_inference(recorded: Recorded) -> None:
    inference_id = recorded.infer(function_name="shapes", tags={"user": "7"})
    (shown,) = recorded.get(inference_id)
    assert list(shown) == [*HEAD, *IDS, "provider_tools", *SHARED, "snapshot_hash"]
    assert shown["type"] == "chat"
    assert (shown["function_name"], shown["variant_name"]) == ("shapes", "v")
    assert shown["input"] == {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    }
    assert [block["type"] for block in shown["output"]] == ["text"]
    assert shown["dispreferred_outputs"] == []
    assert UUID(shown["episode_id"]).version == 7
    assert shown["tags"] == {"user": "7"}
    assert shown["inference_params"] == {"chat_completion": {}}
    assert shown["extra_body"] == shown["provider_tools"] == []
    assert shown["ttft_ms"] is None
    assert type(shown["processing_time_ms"]) is int
    status = recorded.client.get(f"{recorded.url}/status").json()
    assert int(shown["snapshot_hash"], 16) == int(status["config_hash"])
    assert shown["snapshot_hash"] == shown["snapshot_hash"].lower()
    assert recorded.list(function_name="shapes", limit=1) == [shown]


def test_a_json_inference(recorded: Recorded) -> None:
    inference_id = recorded.infer(
        function_name="extract", params={"chat_completion": {"temperature": 0.1}}
    )
    (shown,) = recorded.get(inference_id)
    assert list(shown) == [*HEAD, *IDS, "output_schema", *SHARED, "snapshot_hash"]
    assert shown["type"] == "json"
    assert list(shown["output"]) == ["raw", "parsed"]
    assert shown["output_schema"] == {"type": "object", "properties": {"name": {"type": "string"}}}
    assert shown["inference_params"] == {"chat_completion": {"temperature": 0.1}}
    assert recorded.list(function_name="extract", limit=1) == [shown]


def test_a_call_of_a_model(recorded: Recorded) -> None:
    inference_id = recorded.infer(model_name="dummy::text")
    for function in (None, "tensorzero::default"):
        (shown,) = recorded.get(inference_id, function_name=function)
        assert shown["function_name"] == "tensorzero::default"
        assert shown["variant_name"] == "dummy::text"
    assert inference_id in recorded.ids(function_name="tensorzero::default")


def test_tools_come_back_as_they_were_sent(recorded: Recorded) -> None:
    clock = {
        "type": "function",
        "description": "Clock",
        "parameters": {"type": "object", "properties": {}},
        "name": "clock",
        "strict": True,
    }
    scoped = {"scope": {"model_name": "m"}, "tool": {"type": "web_search"}}
    (shown,) = recorded.get(
        recorded.infer(
            function_name="tooled",
            additional_tools=[clock],
            allowed_tools=["weather", "clock"],
            tool_choice={"specific": "clock"},
            parallel_tool_calls=True,
            provider_tools=[scoped],
        )
    )
    assert list(shown)[len(HEAD + IDS) : -len(SHARED) - 1] == [
        *("allowed_tools", "additional_tools", "tool_choice", "parallel_tool_calls"),
        "provider_tools",
    ]
    assert shown["allowed_tools"] == ["weather", "clock"]
    assert shown["additional_tools"] == [clock]
    assert shown["tool_choice"] == {"specific": "clock"}
    assert shown["parallel_tool_calls"] is True
    assert shown["provider_tools"] == [scoped]
    (shown,) = recorded.get(recorded.infer(function_name="tooled"))
    assert shown["tool_choice"] == "auto"
    for absent in ("allowed_tools", "additional_tools", "parallel_tool_calls"):
        assert absent not in shown


def test_a_file_is_shown_by_where_it_lies(recorded: Recorded) -> None:
    image = {
        "type": "file",
        "file_type": "base64",
        "mime_type": "image/png",
        "data": base64.b64encode(PNG).decode(),
    }
    given = {"messages": [{"role": "user", "content": [image]}]}
    (shown,) = recorded.get(recorded.infer(function_name="shapes", input=given))
    (block,) = shown["input"]["messages"][0]["content"]
    assert list(block) == ["type", "source_url", "mime_type", "storage_path"]
    assert block["source_url"] is None
    assert block["storage_path"]["kind"]["type"] == "filesystem"
    # It can be sent again as it is.
    again = recorded.get(recorded.infer(function_name="shapes", input=shown["input"]))
    assert again[0]["input"] == shown["input"]


def test_extra_body_and_streams(recorded: Recorded) -> None:
    extra = [{"variant_name": "v", "pointer": "/a", "value": [1, None]}]
    (shown,) = recorded.get(recorded.infer(function_name="shapes", extra_body=extra))
    assert shown["extra_body"] == extra
    given = {"messages": [{"role": "user", "content": "hi"}]}
    body = {"function_name": "shapes", "input": given, "stream": True, "tags": {"by": "stream"}}
    assert recorded.client.post(f"{recorded.url}/inference", json=body).status_code == 200
    recorded.infer(function_name="shapes")
    by_stream = {"type": "tag", "key": "by", "value": "stream", "comparison_operator": "="}
    (shown,) = recorded.list(function_name="shapes", filters=by_stream)
    assert type(shown["ttft_ms"]) is int


def test_output_sources(recorded: Recorded) -> None:
    chat, json, without = (id_at("2026-01-22T00:00:00") for _ in range(3))
    recorded.chat("demos", chat, without)
    recorded.json("demos_json", json)
    text = [{"type": "text", "text": "better"}]
    recorded.demonstrate(chat, text_output("worse"))
    recorded.demonstrate(chat, text_output("better"))
    recorded.demonstrate(json, '{"raw":"1","parsed":1}')
    for shown in (
        recorded.list(function_name="demos", output_source="none"),
        recorded.get(chat, without, output_source="none"),
    ):
        assert ids(shown) == newest_first([chat, without])
        for inference in shown:
            assert "output" not in inference
            assert inference["dispreferred_outputs"] == []
    for shown in (
        recorded.list(function_name="demos", output_source="demonstration"),
        recorded.get(chat, without, UNKNOWN, output_source="demonstration"),
    ):
        assert ids(shown) == [chat]
        assert shown[0]["output"] == text
        assert shown[0]["dispreferred_outputs"] == [[{"type": "text", "text": "out"}]]
    (shown,) = recorded.list(function_name="demos_json", output_source="demonstration")
    assert shown["output"] == {"raw": "1", "parsed": 1}
    assert shown["dispreferred_outputs"] == [{"raw": "{}", "parsed": {}}]
    assert recorded.ids(variant_name="v", output_source="demonstration", limit=2) == newest_first(
        [chat, json]
    )
    for source in (None, "inference"):
        (shown,) = recorded.get(chat, output_source=source)
        assert shown["output"] == [{"type": "text", "text": "out"}]


def test_rows_of_older_gateways(recorded: Recorded) -> None:
    """Columns as they were before migrations 18 to 43 added theirs."""
    chat, json = id_at("2024-05-01T10:20:30", 400), id_at("2024-05-01T10:20:30", 500)
    blocks = [
        {"type": "text", "value": "hello"},
        {"type": "text", "value": {"topic": "rain"}},
        {
            "type": "image",
            "image": {"url": "https://example.com/a.png", "mime_type": "image/png"},
            "storage_path": {"kind": {"type": "filesystem", "path": "/f"}, "path": "a.png"},
        },
    ]
    legacy = (
        '{"tools_available":[{"description":"d","parameters":{},"name":"t","strict":false}],'
        '"tool_choice":"auto","parallel_tool_calls":true}'
    )
    given = orjson.dumps({"messages": [{"role": "user", "content": blocks}]}).decode()
    old = {
        "id": chat,
        "function_name": "old",
        "variant_name": "older",
        "episode_id": id_at("2024-05-01T10:20:30"),
        "input": given,
        "output": text_output("out"),
        "tool_params": legacy,
        "inference_params": '{"chat_completion":{"json_mode":"implicit_tool","seed":1}}',
    }
    recorded.insert("ChatInference", old)
    del old["tool_params"]
    recorded.insert(
        "JsonInference",
        {
            **old,
            "id": json,
            "function_name": "old_json",
            "output": "",
            "output_schema": "",
            "inference_params": "",
        },
    )
    first, second = recorded.list(variant_name="older")
    assert ids([first, second]) == [json, chat]
    assert second["input"] == {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "hello"},
                    {"type": "template", "name": "user", "arguments": {"topic": "rain"}},
                    {
                        "type": "file",
                        "source_url": "https://example.com/a.png",
                        "mime_type": "image/png",
                        "storage_path": {
                            "kind": {"type": "filesystem", "path": "/f"},
                            "path": "a.png",
                        },
                    },
                ],
            }
        ]
    }
    assert second["timestamp"] == "2024-05-01T10:20:30Z"
    assert second["tool_choice"] == "auto"
    assert second["parallel_tool_calls"] is True
    assert "additional_tools" not in second
    assert "allowed_tools" not in second
    assert second["inference_params"] == {"chat_completion": {"json_mode": "tool", "seed": 1}}
    for shown in (first, second):
        assert "snapshot_hash" not in shown
        assert shown["extra_body"] == []
        assert shown["tags"] == {}
        assert shown["processing_time_ms"] is shown["ttft_ms"] is None
    assert first["output"] == {"raw": None, "parsed": None}
    assert first["output_schema"] == {}
    assert first["inference_params"] == {"chat_completion": {}}


def test_a_row_that_nobody_can_read_fails_the_request(recorded: Recorded) -> None:
    broken, fine = (id_at("2026-01-23T00:00:00") for _ in range(2))
    recorded.chat("odd", broken, output="no json")
    recorded.chat("odd", fine)
    try:
        for answer in (
            recorded.post("get_inferences", {"ids": [broken]}),
            recorded.post("list_inferences", {"function_name": "odd"}),
        ):
            assert answer.status_code == 500
            text = answer.json()["error"]
            assert text.startswith("Error deserializing ClickHouse response: output: ")
        assert ids(recorded.get(fine)) == [fine]
    finally:
        delete = "ALTER TABLE ChatInference DELETE WHERE id = {id:UUID} SETTINGS mutations_sync = 2"
        recorded.sql(delete, id=broken)
    # Its entry in the index is still there.
    assert recorded.ids(function_name="odd") == [fine]
