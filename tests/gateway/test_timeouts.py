"""Deadlines of every level, as the clients of a running gateway see them."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

import pytest

from gateway.api import Api
from gateway.scripted import Upstream
from gateway.test_providers import delta
from upstream.scripted import DONE, HANG, STREAM_HEAD, Script, stream

SILENT: Script = [HANG]
HEAD_ONLY: Script = [STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n", HANG]
RUNNING = stream(delta(content="a"), delta(content="b"), end=[HANG])


def pinned(variant: str, **fields: Any) -> dict[str, Any]:
    return {"function_name": "pinned", "variant_name": variant, **fields}


def test_a_slow_provider_is_left_for_the_next(scripted: Api, upstream: Upstream) -> None:
    upstream.say(SILENT, model="first")
    before = upstream.given_up
    assert scripted.ok(**pinned("slow_providers"))["content"][0]["text"] == "Hello!"
    assert [body["model"] for body in upstream.bodies()] == ["first", "second"]
    upstream.say(stream(delta(content="c"), DONE), model="second")
    upstream.say(HEAD_ONLY, model="first")
    frames = scripted.stream(**pinned("slow_providers"))
    assert frames[0]["content"][0]["text"] == "c"
    row = scripted.model_row(frames[0]["inference_id"])
    assert row["model_provider_name"] == "second"
    assert row["ttft_ms"] < 1000
    assert scripted.row(frames[0]["inference_id"])["ttft_ms"] >= 300
    ends = monotonic() + 10
    while upstream.given_up < before + 2:  # both connections were closed, not left to hang
        assert monotonic() < ends
        sleep(0.01)


@pytest.mark.parametrize(
    ("is_stream", "setting"), [(False, "non_streaming.total_ms"), (True, "streaming.ttft_ms")]
)
def test_all_providers_slow(
    scripted: Api, upstream: Upstream, is_stream: bool, setting: str
) -> None:
    upstream.say(SILENT, model="first")
    upstream.say(SILENT, model="second")
    text = f"timed out due to configured `{setting}` timeout"
    wanted = (
        f"first: Model provider `first` {text} (300ms)",
        f"second: Model provider `second` {text} (1s)",
    )
    refused = scripted.refused(500, *wanted, **pinned("slow_providers"), stream=is_stream)
    causes = refused["error_json"]["AllModelProvidersFailed"]["provider_errors"]
    assert causes["first"] == {
        "ModelProviderTimeout": {
            "provider_name": "first",
            "timeout": {"secs": 0, "nanos": 300_000_000},
            "kind": "streaming_ttft" if is_stream else "non_streaming_total",
        }
    }
    scripted.refused(502, *wanted, model_name="slow_providers", stream=is_stream)


@pytest.mark.parametrize(
    ("is_stream", "setting"), [(False, "non_streaming.total_ms"), (True, "streaming.ttft_ms")]
)
def test_a_slow_model(scripted: Api, upstream: Upstream, is_stream: bool, setting: str) -> None:
    upstream.say(SILENT)
    wanted = f"Model `slow_model` timed out due to configured `{setting}` timeout (900ms)"
    refused = scripted.refused(408, wanted, **pinned("slow_model"), stream=is_stream)
    assert refused["error_json"]["ModelTimeout"]["model_name"] == "slow_model"
    scripted.refused(502, wanted, model_name="slow_model", stream=is_stream)


@pytest.mark.parametrize(
    ("is_stream", "setting", "value"),
    [(False, "non_streaming.total_ms", "1.2s"), (True, "streaming.ttft_ms", "900ms")],
)
def test_a_slow_variant(
    scripted: Api, upstream: Upstream, is_stream: bool, setting: str, value: str
) -> None:
    upstream.say(SILENT)
    wanted = f"Variant `slow_variant` timed out due to configured `{setting}` timeout ({value})"
    refused = scripted.refused(408, wanted, **pinned("slow_variant"), stream=is_stream)
    assert refused["error_json"]["VariantTimeout"]["variant_name"] == "slow_variant"


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_slow_variant_is_left_for_the_next(
    scripted: Api, upstream: Upstream, is_stream: bool
) -> None:
    upstream.say(SILENT)
    if is_stream:
        assert scripted.stream(function_name="late")[0]["variant_name"] == "good"
    else:
        assert scripted.ok(function_name="late")["variant_name"] == "good"
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("variant", "name", "value"),
    [
        ("slow_variant", "Variant `slow_variant`", "1.1s"),
        ("slow_total", "Variant `slow_total`", "900ms"),
        ("slow_model", "Model `slow_model`", "1.1s"),
        ("slow_providers", "Model provider `second`", "1.5s"),
    ],
)
def test_the_total_of_a_running_stream(
    scripted: Api, upstream: Upstream, variant: str, name: str, value: str
) -> None:
    upstream.say(RUNNING)
    upstream.say(RUNNING, model="second")
    upstream.say(SILENT, model="first")
    frames = scripted.stream(**pinned(variant))
    texts = [frame["content"][0]["text"] for frame in frames if frame.get("content")]
    assert texts == ["a", "b"]
    (error,) = [frame for frame in frames if "error" in frame]
    assert error["error"] == (
        f"{name} timed out due to configured `streaming.total_ms` timeout ({value})"
    )
    assert "error_json" in error
    final = frames[-1]
    assert (final["content"], final["usage"]["input_tokens"]) == ([], None)
    row = scripted.row(final["inference_id"])
    assert row["output"] == [{"type": "text", "text": "ab"}]


def test_the_total_before_the_first_chunk(scripted: Api, upstream: Upstream) -> None:
    upstream.say(HEAD_ONLY)
    wanted = "Variant `slow_total` timed out due to configured `streaming.total_ms` timeout (900ms)"
    scripted.refused(408, wanted, **pinned("slow_total"), stream=True)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("script", [SILENT, HEAD_ONLY], ids=["silent", "head only"])
def test_the_outbound_limit(
    scripted: Api, upstream: Upstream, script: Script, is_stream: bool
) -> None:
    upstream.say(script)
    wanted = "`gateway.global_outbound_http_timeout_ms` (2000ms)"
    scripted.refused(502, wanted, model_name="m", stream=is_stream)


def test_the_outbound_limit_of_a_running_stream(scripted: Api, upstream: Upstream) -> None:
    upstream.say(RUNNING)
    frames = scripted.stream(model_name="m")
    (error,) = [frame for frame in frames if "error" in frame]
    assert "Inference stream closed due to error from openai server: " in error["error"]
    assert "`gateway.global_outbound_http_timeout_ms` (2000ms)" in error["error"]
    assert scripted.row(frames[-1]["inference_id"])["output"] == [{"type": "text", "text": "ab"}]
