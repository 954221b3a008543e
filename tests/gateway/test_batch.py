"""Batch inference with ``openai`` and ``dummy``: the contract's feedback page, section 3."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import orjson
import pytest

from gateway.api import Api, user
from gateway.batch_server import BatchServer, completion, last_text
from gateway.provider import Provider
from gateway.running import SCHEMA, TOOL, Gateway
from tensorzero.storage.database.connection_file import read_connection
from tensorzero.storage.database.remote import RemoteDatabase
from upstream.scripted import answer

CONFIG = """
[gateway]
unstable_error_json = true

[functions.talk]
type = "chat"
system_schema = "schema.json"
user_schema = "schema.json"
tools = ["weather"]
[functions.talk.variants.v]
type = "chat_completion"
model = "priced"
system_template = "system.minijinja"
user_template = "user.minijinja"
temperature = 0.5
extra_body = [{ pointer = "/never", value = 1 }]

[functions.plain]
type = "chat"
[functions.plain.variants.a]
type = "chat_completion"
model = "broken"
[functions.plain.variants.b]
type = "chat_completion"
model = "dummy::echo?polls=0"
[functions.plain.variants.best]
type = "experimental_best_of_n_sampling"
candidates = ["a", "b"]
[functions.plain.variants.best.evaluator]
model = "dummy::text"

[functions.echo]
type = "chat"
[functions.echo.variants.v]
type = "chat_completion"
model = "dummy::echo"

[functions.error]
type = "chat"
[functions.error.variants.v]
type = "chat_completion"
model = "dummy::error?status=400"
[functions.error.variants.tgi]
type = "chat_completion"
model = "tgi"

[functions.responses]
type = "chat"
[functions.responses.variants.v]
type = "chat_completion"
model = "responses"

[functions.extract]
type = "json"
output_schema = "schema.json"
[functions.extract.variants.v]
type = "chat_completion"
model = "priced"
json_mode = "strict"

[tools.weather]
description = "Weather"
parameters = "tool.json"
[tools.other]
description = "Other"
parameters = "tool.json"

[models.broken]
routing = ["p", "dummy"]
[models.broken.providers.p]
type = "openai"
model_name = "broken"
api_base = "http://127.0.0.1:9/v1/"
api_key_location = "none"
[models.broken.providers.dummy]
type = "dummy"
model_name = "error"

[models.tgi]
routing = ["t"]
[models.tgi.providers.t]
type = "tgi"
api_base = "http://127.0.0.1:9/v1/"
api_key_location = "none"

[models.responses]
routing = ["p"]
[models.responses.providers.p]
type = "openai"
model_name = "m"
api_type = "responses"
api_base = "URL"
api_key_location = "none"

[models.priced]
routing = ["p"]
[models.priced.providers.p]
type = "openai"
model_name = "m"
api_base = "URL"
api_key_location = "dynamic::key"
cost = [{ pointer = "/usage/prompt_tokens", cost_per_million = 2.0 }]
batch_cost = [{ pointer = "/usage/prompt_tokens", cost_per_million = 1.0 }]
"""
ROUTE = "/batch_inference"
UNKNOWN = "0190f000-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def upstream() -> BatchServer:
    return BatchServer()


@pytest.fixture(scope="module")
def batches(
    upstream: BatchServer, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("batches")
    (folder / "schema.json").write_text(SCHEMA)
    (folder / "tool.json").write_text(TOOL)
    (folder / "system.minijinja").write_text("Be {{ name }}.")
    (folder / "user.minijinja").write_text("Name: {{ name }}")
    config = folder / "tensorzero.toml"
    text = CONFIG.replace("URL", upstream.url).replace('"dynamic::key"', '"env::BATCH_TEST_KEY"')
    config.write_text(text)
    environment = {"BATCH_TEST_KEY": "key-of-the-test"}
    running = Gateway(config, folder / "data", workers=2, environment=environment)
    yield Api(running, provider)
    assert running.stop() == 0


@pytest.fixture(autouse=True)
def fresh(upstream: BatchServer) -> None:
    upstream.reset()


def hello(text: str) -> dict[str, Any]:
    return user({"type": "text", "text": text})


def named(name: str) -> dict[str, Any]:
    given = user({"type": "template", "name": "user", "arguments": {"name": name}})
    return {"system": {"name": "kind"}, **given}


def start(api: Api, **fields: Any) -> Any:
    result = api.client.post(f"{api.url}{ROUTE}", json=fields)
    assert result.status_code == 200, result.text
    body = result.json()
    assert list(body) == ["batch_id", "inference_ids", "episode_ids"]
    assert UUID(body["batch_id"]).version == 7
    return body


def get(api: Api, path: str) -> httpx.Response:
    # Each from a connection of its own: any worker may answer.
    return httpx.get(f"{api.url}{ROUTE}/{path}", timeout=60)


def poll(api: Api, path: str) -> Any:
    result = get(api, path)
    assert result.status_code == 200, result.text
    return result.json()


def refused(api: Api, status: int, text: str, body: Any) -> Any:
    result = api.client.post(f"{api.url}{ROUTE}", json=body)
    assert result.status_code == status, result.text
    assert text in result.json()["error"]
    return result.json()


def count(api: Api, sql: str, **parameters: Any) -> int:
    return int(api.sql(f"SELECT count() AS n FROM {sql}", **parameters)[0]["n"])


def test_a_batch_of_the_dummy(batches: Api) -> None:
    episode = "0190f000-0000-7000-8000-00000000000a"
    started = start(
        batches,
        function_name="echo",
        inputs=[hello("one"), hello("two"), hello("three")],
        episode_ids=[None, episode, None],
        tags=[{"k": "1"}, None],
        params={"chat_completion": {"temperature": [0.1, None, 0.3], "unknown": [1]}},
    )
    batch, ids = started["batch_id"], started["inference_ids"]
    assert started["episode_ids"][1] == episode
    # Everything is there when the answer arrives.
    rows = batches.sql("SELECT * FROM BatchModelInference WHERE batch_id = {b:UUID}", b=batch)
    assert sorted(row["inference_id"] for row in rows) == sorted(ids)
    row = next(row for row in rows if row["inference_id"] == ids[0])
    assert orjson.loads(row["input"]) == hello("one")
    assert row["tags"] == {"k": "1"}
    assert row["inference_params"] == '{"chat_completion":{"temperature":0.1}}'
    assert (row["tool_params"], row["output_schema"], row["system"]) == (None, None, None)
    assert "one" in row["raw_request"]
    requests = batches.sql("SELECT * FROM BatchRequest WHERE batch_id = {b:UUID}", b=batch)
    assert [row["status"] for row in requests] == ["pending"]
    assert requests[0]["snapshot_hash"] == rows[0]["snapshot_hash"] is not None
    assert count(batches, "BatchIdByInferenceId WHERE batch_id = {b:UUID}", b=batch) == 3

    assert poll(batches, batch) == {"status": "pending"}
    assert count(batches, "BatchRequest WHERE batch_id = {b:UUID}", b=batch) == 2
    assert get(batches, f"{batch}/inference/{UNKNOWN}").status_code == 404
    done = poll(batches, batch)
    assert (done["status"], done["batch_id"]) == ("completed", batch)
    assert [item["inference_id"] for item in done["inferences"]] == ids
    assert [item["episode_id"] for item in done["inferences"]] == started["episode_ids"]
    assert done["inferences"][1] == {
        "inference_id": ids[1],
        "episode_id": episode,
        "variant_name": "v",
        "content": [{"type": "text", "text": "two"}],
        "usage": {"input_tokens": 1, "output_tokens": 1, "cost": None},
        "finish_reason": "stop",
    }
    assert poll(batches, batch) == done
    one = poll(batches, f"{batch}/inference/{ids[2]}")
    assert one["inferences"] == [done["inferences"][2]]
    for number, id_ in enumerate(ids):
        recorded = batches.row(id_)
        assert recorded["tags"] == ({"k": "1"} if number == 0 else {})
        assert (recorded["processing_time_ms"], recorded["ttft_ms"]) == (None, None)
        assert recorded["extra_body"] == []
        of_model = batches.model_row(id_)
        assert (of_model["response_time_ms"], of_model["ttft_ms"]) == (None, None)
        assert of_model["cached"] is False
        assert count(batches, "InferenceById WHERE id_uint = toUInt128({i:UUID})", i=id_) == 1
    assert count(batches, "BatchRequest WHERE batch_id = {b:UUID}", b=batch) == 3
    metrics = httpx.get(f"{batches.url}/metrics").text
    labels = '{endpoint="batch_inference",function_name="echo"}'
    assert f"tensorzero_requests_total{labels}" in metrics
    assert f"tensorzero_inferences_total{labels}" in metrics


def test_a_batch_of_openai(batches: Api, upstream: BatchServer) -> None:
    """Uploaded as Chat Completions, polled, read: text, a tool call, a result that is missing."""

    def reply(body: dict[str, Any]) -> dict[str, Any] | None:
        text = last_text(body)
        if "Bob" in text:
            call = {"name": "weather", "arguments": '{"city":"Rome"}'}
            tool = {"id": "c1", "type": "function", "function": call}
            return completion(None, tool_calls=[tool])
        return None if "Cy" in text else completion(f"Hi. {text}", reasoning_content="hm")

    upstream.reply = reply
    upstream.more_lines = [b"no json", b'{"custom_id":"x"}', b"%b"]
    started = start(
        batches,
        function_name="talk",
        inputs=[named("Ann"), named("Bob"), named("Cy")],
        variant_name="v",
        tool_choice=[None, "required", None],
        parallel_tool_calls=[None, True, None],
        allowed_tools=[None, ["weather"], None],
    )
    batch, ids = started["batch_id"], started["inference_ids"]
    lines = upstream.lines()
    assert [line["custom_id"] for line in lines] == ids
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    body = lines[1]["body"]
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}
    assert last_text(body) == "Name: Bob"
    assert (body["model"], body["stream"], body["temperature"]) == ("m", False, 0.5)
    assert (body["tool_choice"]["type"], body["parallel_tool_calls"]) == ("allowed_tools", True)
    assert "never" not in body
    for seen in upstream.seen:
        assert seen.headers["authorization"] == "Bearer key-of-the-test"
    row = batches.sql("SELECT * FROM BatchModelInference WHERE inference_id = {i:UUID}", i=ids[1])[
        0
    ]
    assert orjson.loads(row["raw_request"]) == body
    assert row["tool_choice"] == "required"
    assert row["system"] == "Be kind."
    request = batches.sql("SELECT * FROM BatchRequest WHERE batch_id = {b:UUID}", b=batch)[0]
    assert orjson.loads(request["batch_params"]) == {"file_id": "file-0", "batch_id": "batch_0"}
    assert orjson.loads(request["raw_response"])["status"] == "validating"

    for status in ("validating", "in_progress", "finalizing"):
        upstream.status = status
        assert poll(batches, batch) == {"status": "pending"}
    upstream.status = "completed"
    done = poll(batches, batch)
    assert [item["inference_id"] for item in done["inferences"]] == ids[:2]
    ann, bob = done["inferences"]
    assert [block["type"] for block in ann["content"]] == ["thought", "text"]
    assert ann["content"][1]["text"] == "Hi. Name: Ann"
    assert bob["content"] == [
        {
            "type": "tool_call",
            "id": "c1",
            "raw_name": "weather",
            "raw_arguments": '{"city":"Rome"}',
            "name": "weather",
            "arguments": {"city": "Rome"},
        }
    ]
    assert bob["finish_reason"] == "tool_call"
    assert bob["usage"] == {"input_tokens": 11, "output_tokens": 7, "cost": 0.000011}
    of_model = batches.model_row(ids[1])
    assert of_model["system"] == "Be kind."
    assert of_model["input_messages"][0]["content"] == [{"type": "text", "text": "Name: Bob"}]
    assert orjson.loads(of_model["raw_request"]) == body
    assert orjson.loads(of_model["raw_response"])["usage"]["prompt_tokens"] == 11
    assert UUID(of_model["id"]).int >> 80 == 1_750_000_000_000
    assert batches.row(ids[1])["tool_choice"] == "required"
    polls = len(upstream.asked("GET /v1/batches"))
    assert poll(batches, batch) == done
    assert len(upstream.asked("GET /v1/batches")) == polls
    lost = get(batches, f"{batch}/inference/{ids[2]}")
    assert (lost.status_code, lost.json()["error_json"]) == (
        404,
        {"InferenceNotFound": {"inference_id": ids[2]}},
    )


def test_items_are_chat_completions_in_any_case(batches: Api, upstream: BatchServer) -> None:
    started = start(batches, function_name="responses", inputs=[hello("x")])
    (line,) = upstream.lines()
    assert line["url"] == "/v1/chat/completions"
    assert last_text(line["body"]) == "x"
    assert "authorization" not in upstream.seen[0].headers
    done = poll(batches, started["batch_id"])
    assert done["inferences"][0]["content"] == [{"type": "text", "text": "re: x"}]


def test_json_functions(batches: Api, upstream: BatchServer) -> None:
    """Each input with its own schema or the function's; an answer that does not fit is raw."""
    upstream.reply = lambda body: completion('{"name":"Ann"}')
    other = {"type": "object", "required": ["age"]}
    started = start(
        batches,
        function_name="extract",
        inputs=[hello("a"), hello("b")],
        output_schemas=[None, other],
    )
    assert upstream.lines()[1]["body"]["response_format"]["json_schema"]["schema"] == other
    done = poll(batches, started["batch_id"])
    raw = '{"name":"Ann"}'
    assert [item["output"] for item in done["inferences"]] == [
        {"raw": raw, "parsed": {"name": "Ann"}},
        {"raw": raw, "parsed": None},
    ]
    row = batches.json_row(started["inference_ids"][1])
    assert orjson.loads(row["output_schema"]) == other


def test_a_variant_that_fails_gives_way(batches: Api) -> None:
    """All providers of its model are tried; so are the other variants, none of them twice."""
    inputs = [hello("x")]
    for _ in range(4):  # whatever is drawn first
        started = start(batches, function_name="plain", inputs=inputs)
        done = poll(batches, started["batch_id"])
        assert done["inferences"][0]["variant_name"] == "b"
    body = {"function_name": "plain", "inputs": inputs, "variant_name": "a"}
    error = refused(batches, 500, "All model providers failed to infer", body)
    assert list(error["error_json"]["AllModelProvidersFailed"]["provider_errors"]) == ["p", "dummy"]


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"function_name": "nobody"}, 404, "Unknown function: nobody"),
        ({"stream": True}, 400, "unknown field `stream`"),
        ({"inputs": None}, 400, "inputs: invalid type: null"),
        ({"inputs": []}, 400, "No inputs provided"),
        (
            {"tool_choice": ["auto"], "output_schemas": []},
            400,
            "tool_choice vector length (1) does not match number of inferences (2)",
        ),
        ({"allowed_tools": [["nothing"], None]}, 404, "nothing"),
        ({"tags": [{"tensorzero::x": "1"}]}, 400, "Tag name cannot start with 'tensorzero::'"),
        (
            {"function_name": "talk", "inputs": [named("x"), hello("y")]},
            400,
            "Input at index 1 failed validation: ",
        ),
        ({"variant_name": "z"}, 404, "Unknown variant: z"),
        (
            {"episode_ids": [None]},
            400,
            "Number of episode_ids (1) does not match number of inputs (2)",
        ),
        (
            {"episode_ids": [None, "09184e72-a001-7000-8000-000000000000"]},
            400,
            "Input at index 1 failed validation: Invalid Episode ID: Timestamp is in the future",
        ),
        (
            {"params": {"chat_completion": {"seed": [1, 2, 3]}}},
            400,
            "seed vector length (3) does not match number of inferences (2)",
        ),
        ({"params": {"chat_completion": {"seed": ["x", 2]}}}, 400, "seed[0]: invalid type: string"),
        (
            {"function_name": "plain", "variant_name": "best"},
            400,
            "Unsupported variant for batch inference",
        ),
        (
            {"function_name": "error", "variant_name": "tgi"},
            500,
            "Unsupported model provider for batch inference: tgi",
        ),
        ({"function_name": "error"}, 502, "All variants failed with errors"),
    ],
)
def test_refusals(batches: Api, change: dict[str, Any], status: int, text: str) -> None:
    body = {"function_name": "echo", "inputs": [hello("a"), hello("b")], **change}
    if status == 404 and "allowed_tools" in change:
        status = 400
    refused(batches, status, text, body)


def test_unknown_batches(batches: Api) -> None:
    for path in (UNKNOWN, f"{UNKNOWN}/inference/{UNKNOWN}"):
        result = get(batches, path)
        assert result.status_code == 404
        assert result.json()["error"] == f"Batch request not found for id: {UNKNOWN}"
    assert get(batches, "no-uuid").status_code == 400


@pytest.mark.parametrize(
    ("status", "extra"),
    [
        *((status, {}) for status in ("failed", "expired", "cancelling", "cancelled")),
        ("completed", {"output_file_id": None, "error_file_id": "file-e"}),
    ],
)
def test_failed_batches(batches: Api, upstream: BatchServer, status: str, extra: Any) -> None:
    started = start(batches, function_name="talk", inputs=[named("x")])
    upstream.status, upstream.extra = status, extra
    assert poll(batches, started["batch_id"]) == {"status": "failed"}
    asked = len(upstream.seen)
    assert poll(batches, started["batch_id"]) == {"status": "failed"}
    assert len(upstream.seen) == asked


def test_a_provider_that_cannot_be_asked(batches: Api, upstream: BatchServer) -> None:
    """Its error is the answer and nothing changes, unless it says that there is no such batch."""
    batch = start(batches, function_name="talk", inputs=[named("x")])["batch_id"]
    down = answer({"error": "down"}, "500 Internal Server Error")
    for place, fault, status in (
        ("/v1/batches", answer({"error": "who?"}, "401 Unauthorized"), 401),
        ("/v1/batches", down, 500),
        ("/v1/batches", answer({"status": "dreaming"}), 500),
        ("/v1/files", down, 500),
    ):
        upstream.faults = {place: fault}
        assert get(batches, batch).status_code == status
    upstream.faults = {}
    upstream.status = "in_progress"
    assert poll(batches, batch) == {"status": "pending"}
    upstream.faults = {"/v1/batches": answer({"error": "gone"}, "404 Not Found")}
    assert poll(batches, batch) == {"status": "failed"}


@pytest.mark.parametrize(
    ("lines", "status", "text"),
    [([], 400, "Missing batch inference response"), ([b"x"], 500, "No line of the batch's output")],
)
def test_nothing_to_read(
    batches: Api, upstream: BatchServer, lines: list[bytes], status: int, text: str
) -> None:
    """An error once, a failed batch from then on."""
    batch = start(batches, function_name="talk", inputs=[named("x")])["batch_id"]
    upstream.reply, upstream.more_lines = lambda body: None, lines
    result = get(batches, batch)
    assert (result.status_code, text in result.json()["error"]) == (status, True)
    assert poll(batches, batch) == {"status": "failed"}


def test_refused_by_the_provider(batches: Api, upstream: BatchServer) -> None:
    body = {"function_name": "talk", "inputs": [named("x")]}
    for place, fault, text in (
        ("/v1/files", answer({"error": "too big"}, "400 Bad Request"), "too big"),
        ("/v1/files", answer(b"<html>"), "<html>"),
        ("/v1/batches", answer({"id": 7}), "`id` is not a string"),
    ):
        upstream.faults = {place: fault}
        error = refused(batches, 500, "All model providers failed", body)
        assert "key-of-the-test" not in error["error"]
        assert text in orjson.dumps(error).decode() or "html" in text


HOSTILE = (
    "it's \\' -- /* ; DROP TABLE BatchRequest",
    'say "hi" \\ {batch:UUID} `x` %s {}',
    "a\x00b\n\t\r\u2028",
    "\\N",
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_are_data(batches: Api, hostile: str) -> None:
    """What may be any text is recorded as it is; elsewhere it is refused, never run."""
    started = start(
        batches,
        function_name="echo",
        inputs=[hello(hostile)],
        tags=[{hostile: hostile}],
        params={
            "chat_completion": {
                "reasoning_effort": [hostile],
                "verbosity": [hostile],
                "stop_sequences": [[hostile]],
            }
        },
    )
    batch, (id_,) = started["batch_id"], started["inference_ids"]
    assert poll(batches, batch) == {"status": "pending"}
    (item,) = poll(batches, batch)["inferences"]
    assert item["content"] == [{"type": "text", "text": hostile}]
    row = batches.row(id_)
    assert row["tags"] == {hostile: hostile}
    assert row["input"] == hello(hostile)
    params = row["inference_params"]["chat_completion"]
    assert params["stop_sequences"] == [hostile]
    body = {"function_name": "echo", "inputs": [hello("x")]}
    for change in (
        {"function_name": hostile},
        {"variant_name": hostile},
        {"episode_ids": [hostile]},
        {"tool_choice": [{"specific": hostile}], "allowed_tools": [["weather"]]},
        {"allowed_tools": [[hostile]]},
        {"tool_choice": [hostile]},
        {hostile: 1},
    ):
        result = batches.client.post(f"{batches.url}{ROUTE}", json={**body, **change})
        assert result.status_code in (400, 404), result.text
    for path in (quote(hostile, safe=""), f"{batch}/inference/{quote(hostile, safe='')}"):
        assert get(batches, path).status_code == 400


def _rows(api: Api, batch: str) -> list[int]:
    """Inferences of a batch, in the tables that a doubled result would be in twice."""
    of_batch = "IN (SELECT inference_id FROM BatchModelInference WHERE batch_id = {b:UUID})"
    return [
        count(api, f"{table} WHERE {column} {of_batch}", b=batch)
        for table, column in (
            ("ChatInference", "id"),
            ("ModelInference", "inference_id"),
            ("InferenceByEpisodeId", "uint_to_uuid(id_uint)"),
            ("TagInference", "inference_id"),
        )
    ]


def test_polls_at_once_record_once(batches: Api) -> None:
    """On two workers, with more results than are written at a time."""
    inputs = [hello(str(number)) for number in range(600)]
    started = start(
        batches,
        function_name="plain",
        inputs=inputs,
        variant_name="b",
        tags=[{"n": "1"}] * 600,
    )
    batch = started["batch_id"]
    barrier = threading.Barrier(8)

    def one(_: int) -> Any:
        barrier.wait()
        return poll(batches, batch)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert {answer["status"] for answer in answers} == {"completed"}
    for got in answers:
        assert [item["inference_id"] for item in got["inferences"]] == started["inference_ids"]
    assert _rows(batches, batch) == [600] * 4


def test_a_poll_that_died_is_repeated(batches: Api, upstream: BatchServer) -> None:
    """As after a `kill -9` before the status was written, or before the last results were: the
    next poll writes what is missing and nothing twice."""
    inputs = [named(str(number)) for number in range(530)]
    started = start(batches, function_name="talk", inputs=inputs, tags=[{"n": "1"}] * 530)
    batch, ids = started["batch_id"], started["inference_ids"]
    done = poll(batches, batch)
    # What a second writing would leave is another text.
    upstream.reply = lambda body: completion("late")
    url = read_connection(batches.data_dir)
    assert url is not None
    with RemoteDatabase(url) as database:

        def forget(table: str, where: str) -> None:
            """Rows, and that they were written."""
            database.command(
                f"ALTER TABLE {table} DELETE WHERE {where}", {"b": batch, "last": ids[499]}
            )
            for window in (0, 1000):
                setting = f"non_replicated_deduplication_window = {window}"
                database.command(f"ALTER TABLE {table} MODIFY SETTING {setting}")

        forget("BatchRequest", "batch_id = {b:UUID} AND status = 'completed'")
        assert poll(batches, batch) == done
        assert _rows(batches, batch) == [530] * 4
        forget("BatchRequest", "batch_id = {b:UUID} AND status = 'completed'")
        for table, column in (
            ("ChatInference", "toUInt128(id)"),
            ("ModelInference", "toUInt128(inference_id)"),
            ("InferenceByEpisodeId", "id_uint"),
            ("TagInference", "toUInt128(inference_id)"),
        ):
            forget(table, f"{column} > toUInt128({{last:UUID}})")
        assert _rows(batches, batch) == [500] * 4
    again = poll(batches, batch)
    assert again["inferences"][:500] == done["inferences"][:500]
    assert [item["inference_id"] for item in again["inferences"]] == ids
    assert {item["content"][0]["text"] for item in again["inferences"][500:]} == {"late"}
    assert _rows(batches, batch) == [530] * 4


def test_killed_while_it_is_recorded(batches: Api) -> None:
    """`kill -9` of everything at some moment of a poll: the next start's poll completes it."""
    inputs = [hello(str(number)) for number in range(600)]
    tags = [{"n": "1"}] * 600
    started = start(batches, function_name="plain", inputs=inputs, variant_name="b", tags=tags)
    batch = started["batch_id"]
    with httpx.Client(timeout=60) as client:

        def ask() -> None:
            with contextlib.suppress(httpx.HTTPError):
                client.get(f"{batches.url}{ROUTE}/{batch}")

        thread = threading.Thread(target=ask)
        thread.start()
        first = started["inference_ids"][0]
        ends = time.monotonic() + 60
        while not count(batches, "ChatInference WHERE id = {i:UUID}", i=first):
            assert time.monotonic() < ends
            time.sleep(0.02)
        batches.gateway.kill_all()
        thread.join()
    batches.gateway.start()
    batches.url = batches.gateway.url
    done = poll(batches, batch)
    assert len(done["inferences"]) == 600
    assert _rows(batches, batch) == [600] * 4


def test_without_recording_there_are_no_batches(silent: Api) -> None:
    body = {"function_name": "two", "inputs": [hello("x")]}
    refused(silent, 400, "Batch inference requires observability to be enabled", body)
    result = get(silent, UNKNOWN)
    assert result.status_code == 400
    assert "gateway.observability.enabled" in result.json()["error"]
