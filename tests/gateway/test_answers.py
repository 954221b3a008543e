"""Answers that are not streamed, and what is recorded of them (checklist 34 to 38)."""

from __future__ import annotations

import json
import time

from gateway.api import Api, text
from gateway.provider import USAGE, message


def test_the_answer_of_a_chat_function(api: Api) -> None:
    """Section 12.1: every byte, keys in order."""
    answer = api.post(function_name="chat")
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == (
        f'{{"inference_id":"{body["inference_id"]}","episode_id":"{body["episode_id"]}",'
        '"variant_name":"v","content":[{"type":"text","text":"Hello!"}],'
        '"usage":{"input_tokens":11,"output_tokens":7,"cost":null},"finish_reason":"stop"}'
    )


def test_usage_and_finish_reason_when_the_provider_tells_nothing(api: Api) -> None:
    """Checklist 34."""
    api.provider.scripts["scripted"] = message("x", None, usage=None)
    answer = api.ok(function_name="chat")
    assert answer["usage"] == {"input_tokens": None, "output_tokens": None, "cost": None}
    assert "finish_reason" not in answer
    model = api.model_row(answer["inference_id"])
    assert (model["input_tokens"], model["output_tokens"]) == (None, None)
    assert (model["finish_reason"], model["cost"]) == (None, None)


def test_finish_reasons(api: Api) -> None:
    """Section 12.1."""
    for told, wanted in (
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_call"),
        ("content_filter", "content_filter"),
        ("something_new", "unknown"),
    ):
        api.provider.scripts["scripted"] = message("x", told)
        assert api.ok(function_name="chat")["finish_reason"] == wanted


def test_cache_tokens_and_zero_tokens(api: Api) -> None:
    """Section 12.2: cache counts only when reported; a row has null for zero tokens."""
    usage = {**USAGE, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}}
    api.provider.scripts["scripted"] = message("x", usage=usage)
    answer = api.ok(function_name="chat")
    assert answer["usage"] == {
        "input_tokens": 11,
        "output_tokens": 0,
        "provider_cache_read_input_tokens": 0,
        "cost": None,
    }
    model = api.model_row(answer["inference_id"])
    assert (model["input_tokens"], model["output_tokens"]) == (11, None)
    assert model["provider_cache_read_input_tokens"] == 0


def test_cost(api: Api) -> None:
    """Section 12.2: from the provider's cost entries."""
    answer = api.ok(model_name="priced")
    assert answer["usage"]["cost"] == 0.00005
    assert float(api.model_row(answer["inference_id"])["cost"]) == 0.00005
    api.provider.scripts["scripted"] = message("x", usage={"prompt_tokens": 3})
    assert api.ok(model_name="priced")["usage"] == {
        "input_tokens": 3,
        "output_tokens": None,
        "cost": None,
    }


def test_an_answer_without_blocks(api: Api) -> None:
    """Checklist 35."""
    api.provider.scripts["scripted"] = message(None)
    answer = api.ok(function_name="chat")
    assert answer["content"] == []
    assert api.row(answer["inference_id"])["output"] == []


def test_thoughts_and_unknown_blocks(api: Api) -> None:
    """Section 12.1: fields in order, absent ones left out."""
    answer = api.ok(model_name="dummy::thought?signature=s&text=t")
    assert json.dumps(answer["content"]) == json.dumps(
        [
            {
                "type": "thought",
                "text": "The user expects a short answer.",
                "signature": "s",
                "provider_type": "dummy",
            },
            text("t"),
        ]
    )
    answer = api.ok(model_name="dummy::unknown")
    assert answer["content"] == [
        {
            "type": "unknown",
            "data": {"type": "dummy_block"},
            "model_name": "dummy::unknown",
            "provider_name": "dummy",
        }
    ]
    assert api.row(answer["inference_id"])["output"] == answer["content"]


def test_raw_usage_and_raw_response(api: Api) -> None:
    """Checklist 36: arrays with the ids of the model rows; absent unless asked for."""
    plain = api.ok(function_name="chat")
    for key in ("raw_usage", "raw_response", "original_response"):
        assert key not in plain
    answer = api.ok(
        function_name="chat",
        include_raw_usage=True,
        include_raw_response=True,
        include_original_response=True,
    )
    assert list(answer) == [
        *("inference_id", "episode_id", "variant_name", "content", "usage", "raw_usage"),
        *("original_response", "raw_response", "finish_reason"),
    ]
    model = api.model_row(answer["inference_id"])
    assert answer["raw_usage"] == [
        {
            "model_inference_id": model["id"],
            "provider_type": "openai",
            "api_type": "chat_completions",
            "data": USAGE,
        }
    ]
    assert answer["raw_response"] == [
        {
            "model_inference_id": model["id"],
            "provider_type": "openai",
            "api_type": "chat_completions",
            "data": model["raw_response"],
        }
    ]
    assert answer["original_response"] == model["raw_response"]
    api.provider.scripts["scripted"] = message("x", usage=None)
    assert api.ok(function_name="chat", include_raw_usage=True)["raw_usage"] == []


def test_failed_attempts_come_first_and_without_id(api: Api) -> None:
    """Checklist 36, section 12.3: failed variants, failed providers, then the answer."""
    answer = api.ok(function_name="routed", include_raw_response=True)
    failed, good = answer["raw_response"]
    assert list(failed) == ["provider_type", "api_type", "data"]
    assert json.loads(failed["data"]) == {"error": {"message": "no"}}
    assert list(good) == ["model_inference_id", "provider_type", "api_type", "data"]
    answer = api.ok(function_name="ordered", include_raw_response=True)
    assert ["model_inference_id" in entry for entry in answer["raw_response"]] == [False, True]


def test_only_attempts_with_a_body_appear(api: Api) -> None:
    """Section 12.3."""
    body = api.refused(502, model_name="dead", include_raw_response=True)
    assert "raw_response" not in body


def test_the_inference_row(api: Api) -> None:
    """Section 15, column by column."""
    answer = api.ok(
        function_name="chat",
        tags={"user_id": "7"},
        input={"system": "Be kind.", "messages": [{"role": "user", "content": "hi"}]},
        extra_body=[{"pointer": "/x", "value": None}, {"pointer": "/y", "delete": True}],
        extra_headers=[{"name": "x-a", "value": "b"}],
        credentials={"some": "secret-credential"},
    )
    row = api.row(answer["inference_id"])
    assert row["function_name"] == "chat"
    assert row["variant_name"] == "v"
    assert row["episode_id"] == answer["episode_id"]
    assert row["tags"] == {"user_id": "7"}
    assert row["ttft_ms"] is None
    assert 0 <= row["processing_time_ms"] < 10_000
    assert row["extra_body"] == [
        {"pointer": "/x", "value": None},
        {"pointer": "/y", "delete": True},
    ]
    model = api.model_row(answer["inference_id"])
    assert "x-a" not in json.dumps([row, model])
    assert "secret-credential" not in json.dumps([row, model])
    assert model["system"] == "Be kind."
    assert model["input_messages"] == [{"role": "user", "content": [text("hi")]}]
    assert model["output"] == [text("Hello!")]
    assert json.loads(model["raw_request"])["x"] is None
    assert (model["model_name"], model["model_provider_name"]) == ("scripted", "p")
    assert (model["function_name"], model["variant_name"]) == ("chat", "v")
    assert (model["input_tokens"], model["output_tokens"]) == (11, 7)
    assert (model["cached"], model["finish_reason"], model["ttft_ms"]) == (False, "stop", None)
    assert 0 <= model["response_time_ms"] <= row["processing_time_ms"]


def test_processing_time_spans_failed_variants(api: Api) -> None:
    """Section 15: receipt to end; the model row's time is the call's alone."""
    answer = api.ok(model_name="slow")
    row = api.row(answer["inference_id"])
    assert row["processing_time_ms"] >= 1000
    assert api.model_row(answer["inference_id"])["response_time_ms"] >= 1000


def test_a_dryrun_leaves_no_row(api: Api) -> None:
    """Checklist 38."""
    answer = api.ok(function_name="chat", dryrun=True)
    json_answer = api.ok(function_name="extract", variant_name="v", dryrun=True)
    frames = api.stream(function_name="chat", dryrun=True)
    assert not api.has_row(answer["inference_id"])
    assert not api.has_row(json_answer["inference_id"], "JsonInference")
    assert not api.has_row(frames[0]["inference_id"])


def test_refused_and_failed_requests_leave_no_row(api: Api) -> None:
    """Section 15."""
    before = api.sql("SELECT count() AS n FROM ModelInference WHERE model_name = 'status-500'")
    api.refused(502, model_name="status-500")
    api.refused(408, function_name="late", variant_name="variant")
    marker = api.ok(model_name="dummy::text")["inference_id"]
    api.row(marker)
    after = api.sql("SELECT count() AS n FROM ModelInference WHERE model_name = 'status-500'")
    assert before == after
    late = api.sql(
        "SELECT count() AS n FROM ChatInference WHERE function_name = 'late' "
        "AND variant_name = 'variant'"
    )
    assert int(late[0]["n"]) == 0


def test_without_observability_answers_come_all_the_same(silent: Api) -> None:
    """Section 15: nothing is recorded, no database is started."""
    assert silent.ok(function_name="chat")["content"] == [text("Hello!")]
    assert silent.stream(function_name="chat")[-1]["finish_reason"] == "stop"
    assert silent.gateway.children("tensorzero.server.shipping") == []
    assert not (silent.data_dir / "database").exists()


def test_requests_run_beside_each_other(api: Api) -> None:
    """A slow inference holds nobody up."""
    import concurrent.futures

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        slow = [pool.submit(api.ok, model_name="slow") for _ in range(4)]
        quick = [pool.submit(api.ok, model_name="ok") for _ in range(2)]
        for future in quick:
            future.result()
        between = time.monotonic() - started
        for future in slow:
            future.result()
    assert between < time.monotonic() - started < 3.5


def test_the_answer_of_a_json_function(api: Api) -> None:
    """Section 12.1: `output` in the place of `content`, keys in order."""
    api.provider.scripts["scripted"] = message('{"name":"Ann"}')
    answer = api.post(
        function_name="extract", variant_name="v", include_raw_usage=True, include_raw_response=True
    )
    assert list(answer.json()) == [
        *("inference_id", "episode_id", "variant_name", "output", "usage", "raw_usage"),
        *("raw_response", "finish_reason"),
    ]
    assert '"output":{"raw":"{\\"name\\":\\"Ann\\"}","parsed":{"name":"Ann"}}' in answer.text


def test_text_that_is_no_ascii_passes_unchanged(api: Api) -> None:
    """UTF-8 in, UTF-8 out, in answer, provider body and rows."""
    words = 'Zoë 🎉 \u2028 \x7f 漢字 \\ " /'
    api.provider.scripts["scripted"] = message(words)
    given = {"system": words, "messages": [{"role": "user", "content": words}]}
    answer = api.ok(function_name="chat", input=given, tags={"key": words})
    assert answer["content"] == [text(words)]
    assert [one["content"] for one in api.provider.last["messages"]] == [words, words]
    row = api.row(answer["inference_id"])
    assert row["input"] == {
        "system": words,
        "messages": [{"role": "user", "content": [text(words)]}],
    }
    assert (row["output"], row["tags"]) == ([text(words)], {"key": words})
    model = api.model_row(answer["inference_id"])
    assert (model["system"], model["output"]) == (words, [text(words)])
