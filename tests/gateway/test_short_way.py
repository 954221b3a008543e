"""The short way of an inference: what it answers, and what it leaves to the long one.

Requests that name no variant and nothing unusual take it; what their first attempt brings decides
whether they end there. Each provider is asked as often as on the long way, never once more.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from uuid import uuid4

import orjson
import pytest

from gateway.api import HELLO, Api
from gateway.provider import Provider
from gateway.running import Gateway
from gateway.scripted import COMPLETION, Upstream
from upstream.scripted import RESET, Seen, answer

CONFIG = """
[models.pair]
routing = ["first", "second"]
[models.pair.providers.first]
type = "openai"
model_name = "first"
api_base = "URL"
api_key_location = "none"
cost = [{ pointer = "/usage/prompt_tokens", cost_per_million = 1.5 }]
[models.pair.providers.second]
type = "openai"
model_name = "second"
api_base = "URL"
api_key_location = "none"

[functions.pair]
type = "chat"
[functions.pair.variants.v]
type = "chat_completion"
model = "pair"

[functions.again]
type = "chat"
[functions.again.variants.v]
type = "chat_completion"
model = "first_alone"
retries = { num_retries = 1, max_delay_s = 0.1 }

[models.first_alone]
routing = ["first"]
[models.first_alone.providers.first]
type = "openai"
model_name = "first"
api_base = "URL"
api_key_location = "none"

[functions.several]
type = "chat"
[functions.several.variants.a]
type = "chat_completion"
model = "first_alone"
[functions.several.variants.b]
type = "chat_completion"
model = "pair"
"""


@pytest.fixture(scope="module")
def short(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("short")
    server = Upstream()
    config = folder / "tensorzero.toml"
    config.write_text(CONFIG.replace("URL", server.url))
    running = Gateway(config, folder / "data")
    api = Api(running, provider)
    api.upstream = server
    yield api
    assert running.stop() == 0


@pytest.fixture
def upstream(short: Api) -> Upstream:
    """Nothing seen, every model says hello; the gateway has an idle connection to it."""
    server = short.upstream
    assert server is not None
    server.answers.clear()
    short.ok(function_name="pair")
    server.seen.clear()
    return server


def asked(upstream: Upstream) -> list[str]:
    return [body["model"] for body in upstream.bodies()]


def test_both_ways_are_one(short: Api, upstream: Upstream) -> None:
    brief = short.ok(function_name="pair", tags={"a": "b"})
    # A field that only the complete parser knows: the long way.
    full = short.ok(function_name="pair", tags={"a": "b"}, include_raw_usage=False)
    assert asked(upstream) == ["first", "first"]
    assert upstream.seen[0].body == upstream.seen[1].body
    assert upstream.seen[0].head == upstream.seen[1].head
    own = ("inference_id", "episode_id")
    assert brief["usage"]["cost"] is not None
    assert {k: v for k, v in brief.items() if k not in own} == {
        k: v for k, v in full.items() if k not in own
    }
    varying = {"id", "inference_id", "episode_id", "timestamp", "processing_time_ms"}
    varying |= {"response_time_ms"}
    for find in (short.row, short.model_row):
        one, other = find(brief["inference_id"]), find(full["inference_id"])
        assert {k: v for k, v in one.items() if k not in varying} == {
            k: v for k, v in other.items() if k not in varying
        }


@pytest.mark.parametrize(
    "fault", [answer(b"busy", "503 Service Unavailable"), answer(b"{"), answer({"choices": []})]
)
def test_the_second_provider_answers(short: Api, upstream: Upstream, fault: list[bytes]) -> None:
    upstream.say(fault, model="first")
    done = short.ok(function_name="pair")
    assert asked(upstream) == ["first", "second"]
    assert short.model_row(done["inference_id"])["model_provider_name"] == "second"
    assert short.row(done["inference_id"])["episode_id"] == done["episode_id"]


def test_the_attempt_counts_as_the_first(short: Api, upstream: Upstream) -> None:
    upstream.say(answer(b"busy", "503 Service Unavailable"), answer(COMPLETION), model="first")
    done = short.ok(function_name="again")
    assert asked(upstream) == ["first", "first"]
    assert short.row(done["inference_id"])["processing_time_ms"] >= 1000
    assert short.model_row(done["inference_id"])["response_time_ms"] < 1000
    upstream.seen.clear()
    upstream.say(answer(b"busy", "503 Service Unavailable"), model="first")
    short.refused(502, "busy", function_name="again")
    assert asked(upstream) == ["first", "first"]


def test_another_variant_answers(short: Api, upstream: Upstream) -> None:
    upstream.say(answer(b"busy", "503 Service Unavailable"), model="first")
    for _ in range(6):
        upstream.seen.clear()
        done = short.ok(function_name="several")
        assert done["variant_name"] == "b"
        assert asked(upstream) in (["first", "first", "second"], ["first", "second"])


def test_a_coded_answer(short: Api, upstream: Upstream) -> None:
    body = gzip.compress(orjson.dumps(COMPLETION), mtime=0)
    upstream.say(answer(body, "200 OK", "content-encoding: gzip"), model="first")
    assert short.ok(function_name="pair")["content"][0]["text"] == "Hello!"
    assert asked(upstream) == ["first"]


def test_a_connection_that_had_ended(short: Api, upstream: Upstream) -> None:
    upstream.say([RESET], answer(COMPLETION), model="first")
    short.ok(function_name="pair")
    assert asked(upstream) == ["first", "first"]
    assert upstream.seen[0].connection != upstream.seen[1].connection


def test_a_redirect(short: Api, upstream: Upstream) -> None:
    def elsewhere(seen: Seen) -> list[bytes]:
        if seen.line.startswith("POST /there "):
            return list(answer(COMPLETION))
        return list(answer(b"", "307 Temporary Redirect", "location: /there"))

    upstream.answers["first"] = elsewhere
    assert short.ok(function_name="pair")["content"][0]["text"] == "Hello!"


def test_openai_clients(short: Api, upstream: Upstream) -> None:
    body = {"model": "tensorzero::function_name::pair", "messages": HELLO["messages"]}
    answered = short.client.post(f"{short.url}/openai/v1/chat/completions", json=body)
    assert answered.status_code == 200, answered.text
    assert answered.json()["choices"][0]["message"]["content"] == "Hello!"
    assert asked(upstream) == ["first"]
    short.row(answered.json()["id"])


def test_refusals_are_the_long_ways(short: Api, upstream: Upstream) -> None:
    short.refused(
        400, "Tag name cannot start with", function_name="pair", tags={"tensorzero::x": ""}
    )
    short.refused(400, "UUID as v7", function_name="pair", episode_id=str(uuid4()))
    assert upstream.seen == []
