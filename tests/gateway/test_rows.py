"""What an inference leaves in every table: the data model's closing checklist, 13 to 37, as far as
it is served. Numbers in brackets are its items."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from gateway.api import Api
from gateway.provider import USAGE
from tensorzero.storage.database.connection_file import read_connection
from tensorzero.storage.schema.tables import QUANTILES

FUTURE_MS = 10_000_000_000_000
"""Workflow-evaluation episodes lie 10^10 s ahead."""


def until(read: Callable[[], Any], wanted: Any) -> None:
    ends = time.monotonic() + 30
    while (found := read()) != wanted:
        assert time.monotonic() < ends, f"{found}, not {wanted}"
        time.sleep(0.05)


def one(api: Api, sql: str, **parameters: Any) -> dict[str, Any]:
    """The one row of a query, waited for: a view's target has it a moment after its source."""
    until(lambda: len(api.sql(sql, **parameters)), 1)
    return api.sql(sql, **parameters)[0]


def number(api: Api, sql: str, **parameters: Any) -> int:
    """The one number of a query."""
    ((value,),) = (row.values() for row in api.sql(sql, **parameters))
    return int(value)


def test_each_table_has_its_row(api: Api) -> None:
    """[13, 14, 31, 32, 33] and section 7.4."""
    answer = api.ok(function_name="chat", tags={"user_id": "7"})
    id_, episode = answer["inference_id"], answer["episode_id"]
    chat = api.row(id_)
    model = api.model_row(id_)
    config_hash = api.client.get(f"{api.url}/status").json()["config_hash"]
    names = {"function_name": "chat", "variant_name": "v"}
    where = {"id": id_, "hash": config_hash}
    both = "toString(snapshot_hash) = {hash:String} AS same_hash"
    by_id = one(
        api,
        f"SELECT function_name, variant_name, episode_id, function_type, {both}, "
        "uint_to_uuid(id_uint) AS id FROM InferenceById WHERE id_uint = toUInt128({id:UUID})",
        **where,
    )
    assert by_id == {**names, "episode_id": episode, "function_type": "chat", "same_hash": 1} | {
        "id": id_
    }
    by_episode = one(
        api,
        f"SELECT function_name, variant_name, function_type, {both}, uint_to_uuid(id_uint) AS id "
        "FROM InferenceByEpisodeId WHERE episode_id_uint = toUInt128({episode:UUID})",
        episode=episode,
        **where,
    )
    assert by_episode == {**names, "function_type": "chat", "same_hash": 1, "id": id_}
    assert one(
        api,
        "SELECT groupArrayMerge(inference_ids) AS ids, sum(count) AS n, "
        "uint_to_uuid(min(min_inference_id_uint)) AS first FROM EpisodeById "
        "WHERE episode_id_uint = toUInt128({episode:UUID}) HAVING n > 0",
        episode=episode,
    ) == {"ids": [id_], "n": 1, "first": id_}
    assert one(
        api,
        f"SELECT function_name, key, value, {both} FROM InferenceTag "
        "WHERE inference_id = {id:UUID}",
        **where,
    ) == {"function_name": "chat", "key": "user_id", "value": "7", "same_hash": 1}
    assert one(
        api,
        f"SELECT key, value, function_name, variant_name, episode_id, function_type, {both} "
        "FROM TagInference WHERE inference_id = {id:UUID}",
        **where,
    ) == {"key": "user_id", "value": "7", **names, "episode_id": episode} | {
        "function_type": "chat",
        "same_hash": 1,
    }
    assert (model["function_name"], model["variant_name"]) == ("chat", "v")
    for row in (chat, model):
        assert str(row["snapshot_hash"]) == config_hash
    seconds = (UUID(id_).int >> 80) // 1000
    stamp = "SELECT toUnixTimestamp(timestamp) AS t FROM ChatInference WHERE id = {id:UUID}"
    assert one(api, stamp, id=id_)["t"] == seconds


def test_texts_of_columns(api: Api) -> None:
    """[15, 17, 21, 22]: exact bytes."""
    answer = api.ok(model_name="scripted", params={"chat_completion": {"temperature": 0.1}})
    api.row(answer["inference_id"])
    row = one(api, "SELECT * FROM ChatInference WHERE id = {id:UUID}", id=answer["inference_id"])
    assert row["input"] == (
        '{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}'
    )
    assert row["inference_params"] == '{"chat_completion":{"temperature":0.1}}'
    assert (row["extra_body"], row["tool_params"], row["dynamic_tools"]) == ("[]", "", [])
    for name in ("allowed_tools", "tool_choice", "parallel_tool_calls", "ttft_ms"):
        assert row[name] is None
    # [29]
    assert (row["function_name"], row["variant_name"]) == ("tensorzero::default", "scripted")


def test_tool_columns(api: Api) -> None:
    """[18, 19, 20]."""
    extra = {"name": "x", "description": "X", "parameters": {"type": "object"}}
    first = api.ok(function_name="chat", additional_tools=[extra])["inference_id"]
    row = api.row(first)
    assert row["allowed_tools"] == '{"tools":["x"],"choice":"function_default"}'
    assert row["tool_choice"] == "auto"
    assert row["dynamic_tools"][0].startswith('{"type":"function"')
    second = api.ok(function_name="chat", additional_tools=[extra], tool_choice={"specific": "x"})[
        "inference_id"
    ]
    assert api.row(second)["tool_choice"] == '{"specific":"x"}'


def test_a_json_function(api: Api) -> None:
    """[23, 33] and the index tables of the other kind."""
    api.provider.scripts["scripted"] = {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": '{"name":"Ann"}'},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
    answer = api.ok(function_name="extract", variant_name="v", tags={"a": "b"})
    id_ = answer["inference_id"]
    api.json_row(id_)
    row = one(api, "SELECT * FROM JsonInference WHERE id = {id:UUID}", id=id_)
    assert row["output"] == '{"raw":"{\\"name\\":\\"Ann\\"}","parsed":{"name":"Ann"}}'
    assert row["auxiliary_content"] == "[]"
    assert json.loads(row["output_schema"])["required"] == ["name"]
    types = (
        "SELECT function_type FROM InferenceById WHERE id_uint = toUInt128({id:UUID}) "
        "UNION ALL SELECT function_type FROM TagInference WHERE inference_id = {id:UUID} "
        "AND key = 'a' UNION ALL SELECT function_type FROM InferenceByEpisodeId "
        "WHERE id_uint = toUInt128({id:UUID})"
    )
    until(lambda: [row["function_type"] for row in api.sql(types, id=id_)], ["json"] * 3)
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    second = api.ok(function_name="extract", variant_name="v", output_schema=schema)
    assert json.loads(api.json_row(second["inference_id"])["output_schema"]) == schema


def test_streams_and_tokens(api: Api) -> None:
    """[24, 25]."""
    frames = api.stream(model_name="ok")
    id_ = frames[0]["inference_id"]
    for row in (api.row(id_), api.model_row(id_)):
        assert row["ttft_ms"] is not None
    assert api.row(id_)["processing_time_ms"] >= api.row(id_)["ttft_ms"]
    plain = api.ok(model_name="ok")["inference_id"]
    for row in (api.row(plain), api.model_row(plain)):
        assert row["ttft_ms"] is None
    zero = api.ok(model_name="dummy::text?input_tokens=4&output_tokens=0")["inference_id"]
    model = api.model_row(zero)
    assert (model["input_tokens"], model["output_tokens"]) == (4, None)


def test_costs(api: Api) -> None:
    """[26]: all digits; without prices NULL."""
    id_ = api.ok(model_name="priced")["inference_id"]
    api.row(id_)
    api.model_row(id_)
    cost = (
        "SELECT toString(cost) AS cost, cached FROM ModelInference WHERE inference_id = {id:UUID}"
    )
    dollars = (USAGE["prompt_tokens"] * 2 + USAGE["completion_tokens"] * 4) / 1_000_000
    found = one(api, cost, id=id_)
    assert (float(found["cost"]), found["cached"]) == (dollars, False)
    free = api.ok(model_name="ok")["inference_id"]
    api.model_row(free)
    assert one(api, cost, id=free)["cost"] is None


def test_failures_leave_nothing(api: Api) -> None:
    """[27, 30]: no row in any table; a fallback leaves one model row, of who answered."""

    def counts() -> list[dict[str, Any]]:
        marker = api.ok(model_name="dummy::text")["inference_id"]
        api.row(marker)
        api.model_row(marker)
        return api.sql(
            "SELECT (SELECT count() FROM ChatInference) AS chat, (SELECT count() FROM "
            "JsonInference) AS json, (SELECT count() FROM ModelInference) AS model, "
            "(SELECT count() FROM InferenceById) AS by_id"
        )

    before = {name: int(value) for name, value in counts()[0].items()}
    assert api.post(function_name="allbad").status_code == 502
    assert api.post(model_name="status-500").status_code == 502
    assert api.post(function_name="chat", bogus=1).status_code == 400
    api.ok(function_name="chat", dryrun=True)
    after = {name: int(value) for name, value in counts()[0].items()}
    # Only the second marker.
    assert after == {name: value + (name != "json") for name, value in before.items()}
    model = api.model_row(api.ok(function_name="routed")["inference_id"])
    assert model["model_provider_name"] == "second"


def test_statistics(api: Api) -> None:
    """[34, 35, 36]."""

    def variant() -> dict[str, Any]:
        return one(
            api,
            "SELECT countMerge(count) AS n, ifNull(sumMerge(total_cost), 0) AS cost, "
            "countMerge(count_with_cost) AS with_cost FROM VariantStatistics "
            "WHERE function_name = 'tensorzero::default' AND variant_name IN ('priced', 'ok')",
        )

    def usage() -> dict[str, int]:
        rows = api.sql("SELECT type, sum(count) AS n FROM CumulativeUsage GROUP BY type")
        return {row["type"]: int(row["n"]) for row in rows}

    api.model_row(api.ok(model_name="ok")["inference_id"])
    known = "SELECT count() FROM ModelInference WHERE input_tokens IS NOT NULL"
    until(lambda: usage()["model_inferences"], number(api, known))
    before, used = variant(), usage()
    assert set(used) == {"input_tokens", "output_tokens", "model_inferences"}
    for name in ("priced", "ok"):
        api.model_row(api.ok(model_name=name)["inference_id"])
    dollars = (USAGE["prompt_tokens"] * 2 + USAGE["completion_tokens"] * 4) / 1_000_000
    until(lambda: int(variant()["n"]), int(before["n"]) + 2)
    after = variant()
    assert int(after["with_cost"]) == int(before["with_cost"]) + 1
    assert abs(float(after["cost"]) - float(before["cost"]) - dollars) < 1e-9
    expected = {
        "input_tokens": used["input_tokens"] + 2 * USAGE["prompt_tokens"],
        "output_tokens": used["output_tokens"] + 2 * USAGE["completion_tokens"],
        "model_inferences": used["model_inferences"] + 2,
    }
    until(usage, expected)
    unknown = api.ok(model_name="dummy::text?usage=none")["inference_id"]
    api.model_row(unknown)
    api.model_row(api.ok(model_name="dummy::text?input_tokens=1&output_tokens=1")["inference_id"])
    until(lambda: usage()["model_inferences"], used["model_inferences"] + 3)
    of = "model_name = 'priced' AND model_provider_name = 'p'"
    rows = number(api, f"SELECT count() FROM ModelInference WHERE {of}")
    counted = f"SELECT countMerge(count) FROM ModelProviderStatistics WHERE {of}"
    until(lambda: number(api, counted), rows)
    quantiles = f"quantilesTDigestMerge({QUANTILES})(response_time_ms_quantiles)"
    assert number(api, f"SELECT length({quantiles}) FROM ModelProviderStatistics WHERE {of}") == 70


def test_an_episode_of_a_workflow_evaluation(api: Api) -> None:
    """[37]: in the index, not in the episode list; its run's tags come along."""
    now = int(time.time() * 1000)
    run = UUID(int=now << 80 | 7 << 76 | 2 << 62 | 1)
    episode = UUID(int=(now + FUTURE_MS) << 80 | 7 << 76 | 2 << 62 | 2)
    insert(
        api,
        "DynamicEvaluationRunEpisode",
        {
            "run_id": str(run),
            "episode_id_uint": str(episode.int),
            "variant_pins": {"two": "b"},
            "tags": {"branch": "main"},
        },
    )
    answer = api.ok(function_name="two", episode_id=str(episode))
    assert answer["variant_name"] == "b"
    row = api.row(answer["inference_id"])
    assert row["tags"]["branch"] == "main"
    assert row["tags"]["tensorzero::dynamic_evaluation_run_id"] == str(run)
    # One of an ordinary episode behind it: then its views are through, too.
    marker = api.ok(model_name="ok")
    listed = "SELECT count() FROM {} WHERE episode_id_uint = toUInt128({{e:UUID}})"
    until(lambda: number(api, listed.format("EpisodeById"), e=marker["episode_id"]), 1)
    assert number(api, listed.format("InferenceByEpisodeId"), e=str(episode)) == 1
    assert number(api, listed.format("EpisodeById"), e=str(episode)) == 0


def insert(api: Api, table: str, row: dict[str, Any]) -> None:
    """As a user's own tool would, over the database's interface."""
    database = read_connection(api.data_dir)
    assert database is not None
    answer = api.client.post(
        f"http://{database.host}:{database.port}/",
        params={"query": f"INSERT INTO {table} FORMAT JSONEachRow"},
        content=json.dumps(row),
        auth=(database.username, database.password or ""),
    )
    assert answer.status_code == 200, answer.text
