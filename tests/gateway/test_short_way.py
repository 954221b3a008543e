"""The short way of an inference: what it answers, and what it leaves to the long one.

Requests that name no variant and nothing unusual take it; what their first attempt brings decides
whether they end there. Each provider is asked as often as on the long way, never once more.
"""

from __future__ import annotations

import gzip
from uuid import uuid4

import orjson
import pytest

from gateway.api import HELLO, Api
from gateway.scripted import COMPLETION, Upstream
from upstream.scripted import RESET, Seen, answer


@pytest.fixture(autouse=True)
def idle_connection(scripted: Api, upstream: Upstream) -> None:
    """The short way needs one: to open it takes time."""
    scripted.ok(function_name="pair")
    upstream.seen.clear()


def asked(upstream: Upstream) -> list[str]:
    return [body["model"] for body in upstream.bodies()]


def test_both_ways_are_one(scripted: Api, upstream: Upstream) -> None:
    brief = scripted.ok(function_name="priced", tags={"a": "b"})
    # A field that only the complete parser knows: the long way.
    full = scripted.ok(function_name="priced", tags={"a": "b"}, include_raw_usage=False)
    assert asked(upstream) == ["m", "m"]
    assert upstream.seen[0].body == upstream.seen[1].body
    assert upstream.seen[0].head == upstream.seen[1].head
    own = ("inference_id", "episode_id")
    assert brief["usage"]["cost"] is not None
    assert {k: v for k, v in brief.items() if k not in own} == {
        k: v for k, v in full.items() if k not in own
    }
    varying = {"id", "inference_id", "episode_id", "timestamp", "processing_time_ms"}
    varying |= {"response_time_ms"}
    for find in (scripted.row, scripted.model_row):
        one, other = find(brief["inference_id"]), find(full["inference_id"])
        assert {k: v for k, v in one.items() if k not in varying} == {
            k: v for k, v in other.items() if k not in varying
        }


@pytest.mark.parametrize(
    "fault", [answer(b"busy", "503 Service Unavailable"), answer(b"{"), answer({"choices": []})]
)
def test_the_second_provider_answers(scripted: Api, upstream: Upstream, fault: list[bytes]) -> None:
    upstream.say(fault, model="first")
    done = scripted.ok(function_name="pair")
    assert asked(upstream) == ["first", "second"]
    assert scripted.model_row(done["inference_id"])["model_provider_name"] == "second"
    assert scripted.row(done["inference_id"])["episode_id"] == done["episode_id"]


def test_the_attempt_counts_as_the_first(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(b"busy", "503 Service Unavailable"), answer(COMPLETION))
    done = scripted.ok(function_name="priced")
    assert asked(upstream) == ["m", "m"]
    assert scripted.row(done["inference_id"])["processing_time_ms"] >= 1000
    assert scripted.model_row(done["inference_id"])["response_time_ms"] < 1000
    upstream.seen.clear()
    upstream.say(answer(b"busy", "503 Service Unavailable"))
    scripted.refused(502, "busy", function_name="priced")
    assert asked(upstream) == ["m", "m"]


def test_another_variant_answers(scripted: Api, upstream: Upstream) -> None:
    upstream.say(answer(b"busy", "503 Service Unavailable"))
    for _ in range(6):
        upstream.seen.clear()
        done = scripted.ok(function_name="several")
        assert done["variant_name"] == "b"
        assert asked(upstream) in (["m", "first"], ["first"])


def test_a_coded_answer(scripted: Api, upstream: Upstream) -> None:
    body = gzip.compress(orjson.dumps(COMPLETION), mtime=0)
    upstream.say(answer(body, "200 OK", "content-encoding: gzip"), model="first")
    assert scripted.ok(function_name="pair")["content"][0]["text"] == "Hello!"
    assert asked(upstream) == ["first"]


def test_a_connection_that_had_ended(scripted: Api, upstream: Upstream) -> None:
    upstream.say([RESET], answer(COMPLETION), model="first")
    scripted.ok(function_name="pair")
    assert asked(upstream) == ["first", "first"]
    assert upstream.seen[0].connection != upstream.seen[1].connection


def test_a_redirect(scripted: Api, upstream: Upstream) -> None:
    def elsewhere(seen: Seen) -> list[bytes]:
        if seen.line.startswith("POST /there "):
            return list(answer(COMPLETION))
        return list(answer(b"", "307 Temporary Redirect", "location: /there"))

    upstream.answers["first"] = elsewhere
    assert scripted.ok(function_name="pair")["content"][0]["text"] == "Hello!"


def test_openai_clients(scripted: Api, upstream: Upstream) -> None:
    body = {"model": "tensorzero::function_name::pair", "messages": HELLO["messages"]}
    answered = scripted.client.post(f"{scripted.url}/openai/v1/chat/completions", json=body)
    assert answered.status_code == 200, answered.text
    assert answered.json()["choices"][0]["message"]["content"] == "Hello!"
    assert asked(upstream) == ["first"]
    scripted.row(answered.json()["id"])


def test_refusals_are_the_long_ways(scripted: Api, upstream: Upstream) -> None:
    scripted.refused(
        400, "Tag name cannot start with", function_name="pair", tags={"tensorzero::x": ""}
    )
    scripted.refused(400, "UUID as v7", function_name="pair", episode_id=str(uuid4()))
    assert upstream.seen == []
