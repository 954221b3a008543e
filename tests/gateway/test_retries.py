"""Retries of a variant's model calls, as the clients of a running gateway see them."""

from __future__ import annotations

from time import monotonic

import pytest

from gateway.api import Api
from gateway.scripted import COMPLETION, Upstream
from gateway.test_providers import delta
from gateway.test_timeouts import pinned
from upstream.scripted import DONE, HANG, Script, Seen, answer, event, stream

NO = answer(b'{"error":"no"}', "400 Bad Request")


@pytest.mark.parametrize("is_stream", [False, True])
def test_even_a_bad_request_is_tried_again(
    scripted: Api, upstream: Upstream, is_stream: bool
) -> None:
    times: list[float] = []

    def refuse(_: Seen) -> Script:
        times.append(monotonic())
        return NO

    upstream.answers["m"] = refuse
    refused = scripted.refused(
        500, "All retries failed with errors: ", **pinned("retrying"), stream=is_stream
    )
    first, second, third = times
    # The first delay is a second whatever `max_delay_s` says, the second is capped by it.
    assert 1.0 <= second - first < 3.5
    assert 0.1 <= third - second < 1.9
    assert refused["error"].count("All model providers failed to infer with errors: p: ") == 3
    assert len(refused["error_json"]["AllRetriesFailed"]["errors"]) == 3


def test_the_second_attempt_answers(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(b"busy", "503 Service Unavailable"), answer(COMPLETION))
    answered = scripted.ok(**pinned("retrying"), include_raw_response=True)
    failed, good = answered["raw_response"]
    assert failed == {"provider_type": "openai", "api_type": "chat_completions", "data": "busy"}
    assert good["model_inference_id"] == scripted.model_row(answered["inference_id"])["id"]
    row = scripted.row(answered["inference_id"])
    assert row["processing_time_ms"] >= 1000
    assert scripted.model_row(answered["inference_id"])["response_time_ms"] < 1000


def test_a_stream_is_tried_again_until_its_first_chunk(scripted: Api, upstream: Upstream) -> None:
    good = stream(delta(content="a"), event(b"{"), DONE)
    upstream.say(stream(DONE), good)
    frames = scripted.stream(**pinned("retrying"), include_raw_response=True)
    assert len(upstream.seen) == 2
    assert any("error" in frame for frame in frames), "a later fault is not retried"
    assert scripted.row(frames[-1]["inference_id"])["ttft_ms"] >= 1000
    assert scripted.model_row(frames[-1]["inference_id"])["ttft_ms"] < 1000


def test_a_model_timeout_is_tried_again(scripted: Api, upstream: Upstream) -> None:
    upstream.say([HANG], answer(COMPLETION))
    assert scripted.ok(**pinned("retrying_slow_model"))["content"][0]["text"] == "Hello!"
    assert len(upstream.seen) == 2
    upstream.say([HANG])
    wanted = "All retries failed with errors: Model `slow_model` timed out"
    scripted.refused(408, wanted, **pinned("retrying_slow_model"))


def test_the_pauses_count_for_the_variants_deadline(scripted: Api, upstream: Upstream) -> None:
    upstream.say(NO)
    wanted = "Variant `retrying_too_long` timed out due to configured `non_streaming.total_ms`"
    scripted.refused(408, wanted, **pinned("retrying_too_long"))
    assert len(upstream.seen) == 1


def test_what_fails_before_the_call_is_not_tried_again(scripted: Api, upstream: Upstream) -> None:
    started = monotonic()
    scripted.refused(500, "nowhere", **pinned("unrenderable"))
    assert monotonic() - started < 1.0
    assert upstream.seen == []


def test_without_retries_an_error_is_not_wrapped(scripted: Api, upstream: Upstream) -> None:
    upstream.say(NO)
    assert "All retries" not in scripted.refused(500, **pinned("m"))["error"]
    assert len(upstream.seen) == 1
