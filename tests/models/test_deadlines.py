"""Deadlines of providers and models, over sockets that keep quiet."""

from __future__ import annotations

import asyncio

import pytest

from models.calls import ask
from models.test_routing import CHUNK, GOOD, GOOD_STREAM
from providers.calls import Collected, Files, request, user
from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.models.deadline import BoundedItems, bounded
from tensorzero.providers.items import ItemStream
from tensorzero.types.errors import ModelProviderTimeout, ModelTimeout, VariantTimeout
from tensorzero.types.files import File, FileData
from tensorzero.types.model import ProviderChunk
from upstream.scripted import HANG, STREAM_HEAD, Script, chunk, stream

HEAD = [STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n", HANG]
RUNNING = stream(CHUNK, end=[HANG])


def complete(milliseconds: int | None) -> TimeoutsConfig:
    return TimeoutsConfig(milliseconds)


def test_a_provider_out_of_time_is_left_and_its_connection_closed() -> None:
    asked = ask({"slow": [HANG], "good": GOOD}, provider_timeouts=complete(150))
    assert asked.answered().provider_name == "good"
    assert asked.given_up == {"slow": 1, "good": 0}
    assert 0.15 <= asked.took_s < 5


def test_all_providers_out_of_time() -> None:
    error = ask({"a": [HANG], "b": [HANG]}, provider_timeouts=complete(100)).failed()
    assert error.status == 500
    text = (
        "Model provider `{}` timed out due to configured `non_streaming.total_ms` timeout (100ms)"
    )
    assert str(error) == (
        "All model providers failed to infer with errors: "
        f"a: {text.format('a')}, b: {text.format('b')}"
    )
    causes = error.to_json()["AllModelProvidersFailed"]["provider_errors"]
    assert causes["a"] == {
        "ModelProviderTimeout": {
            "provider_name": "a",
            "timeout": {"secs": 0, "nanos": 100_000_000},
            "kind": "non_streaming_total",
        }
    }


def test_a_model_out_of_time_ends_the_walk() -> None:
    asked = ask({"slow": [HANG], "unused": GOOD}, timeouts=complete(150))
    error = asked.failed()
    assert isinstance(error, ModelTimeout)
    assert error.status == 408
    assert str(error) == (
        "Model `m` timed out due to configured `non_streaming.total_ms` timeout (150ms)"
    )
    assert asked.counts() == {"slow": 1, "unused": 0}
    assert asked.given_up["slow"] == 1


def test_the_model_deadline_covers_all_its_providers() -> None:
    asked = ask(
        {"a": [HANG], "b": [HANG], "c": [HANG], "d": GOOD},
        provider_timeouts=complete(150),
        timeouts=complete(375),
    )
    assert isinstance(asked.failed(), ModelTimeout)
    counts = asked.counts()
    assert (counts["a"], counts["d"]) == (1, 0)


@pytest.mark.parametrize("script", [[HANG], HEAD, stream(b": ping\n\n", end=[HANG])])
def test_the_time_to_the_first_chunk(script: Script) -> None:
    """Whether the head, or only the first event, is what does not come."""
    asked = ask(
        {"slow": script, "good": GOOD_STREAM},
        stream=True,
        provider_timeouts=TimeoutsConfig(None, 150, None),
    )
    assert asked.streamed().route.config.name == "good"
    assert asked.given_up["slow"] == 1
    error = ask({"slow": script}, stream=True, timeouts=TimeoutsConfig(None, 150, None)).failed()
    assert str(error) == (
        "Model `m` timed out due to configured `streaming.ttft_ms` timeout (150ms)"
    )


def test_the_total_counts_before_the_first_chunk_if_it_is_less() -> None:
    timeouts = TimeoutsConfig(None, 5000, 150)
    error = ask({"slow": HEAD}, stream=True, provider_timeouts=timeouts).failed()
    assert "`streaming.total_ms` timeout (150ms)" in str(error)


@pytest.mark.parametrize("level", ["timeouts", "provider_timeouts"])
def test_the_total_of_a_running_stream(level: str) -> None:
    limits = {level: TimeoutsConfig(None, None, 250)}
    asked = ask({"slow": RUNNING, "unused": GOOD_STREAM}, stream=True, **limits)
    first, error = asked.items
    assert first.content[0].text == "Hello!"
    assert error.status == 408
    name = "Model `m`" if level == "timeouts" else "Model provider `slow`"
    assert str(error) == (
        f"{name} timed out due to configured `streaming.total_ms` timeout (250ms)"
    )
    assert asked.given_up["slow"] == 1
    assert asked.counts()["unused"] == 0
    assert 0.25 <= asked.took_s < 5


def test_the_first_of_two_totals_counts() -> None:
    asked = ask(
        {"slow": RUNNING},
        stream=True,
        timeouts=TimeoutsConfig(None, None, 5000),
        provider_timeouts=TimeoutsConfig(None, None, 200),
    )
    assert isinstance(asked.items[-1], ModelProviderTimeout)


def test_a_stream_that_never_pauses_ends_too() -> None:
    """Its events come faster than the deadline can be looked at between them."""
    many = chunk(CHUNK * 1000)  # one object, however often it is sent
    script = stream(*[CHUNK] * 1000, end=[many] * 200_000)
    asked = ask({"p": script}, stream=True, timeouts=TimeoutsConfig(None, None, 200))
    assert isinstance(asked.items[-1], ModelTimeout)
    assert asked.given_up == {"p": 1}


def test_a_stream_that_is_out_of_time_when_it_is_pushed() -> None:
    """What has come by then is late too."""

    class Kept(ItemStream):
        closed = False

        def _release(self) -> None:
            self.closed = True

    async def run() -> None:
        items = Kept()
        items._add(ProviderChunk([], "{}"))
        expired = ModelTimeout("m", "streaming_total", 1)
        bounded_items = BoundedItems(items, asyncio.get_running_loop().time() - 1, expired)
        assert await Collected().of(bounded_items) == [expired]
        assert items.closed

    asyncio.run(run())


def test_in_time_is_in_time() -> None:
    script: Script = [0.05, *GOOD]
    assert ask({"p": script}, timeouts=complete(5000), provider_timeouts=complete(5000)).answered()
    limits = TimeoutsConfig(None, 5000, 5000)
    asked = ask({"p": [0.05, *GOOD_STREAM]}, stream=True, timeouts=limits, provider_timeouts=limits)
    assert len(asked.items) == 1
    assert asked.streamed().ttft_ms >= 40


@pytest.mark.parametrize("streams", [False, True])
def test_the_time_of_a_call_begins_when_it_is_sent(streams: bool) -> None:
    """A file that has to be fetched first is not the provider's time."""

    class SlowFiles(Files):
        async def resolve(self, file: File) -> FileData:
            await asyncio.sleep(0.8)
            return FileData("AAAA", "application/pdf")

    file = File(url="https://example.com/a", mime_type="application/pdf")
    given = request(user("hi", file), files=SlowFiles({}))
    asked = ask({"p": GOOD_STREAM if streams else GOOD}, given=given, stream=streams)
    assert asked.took_s >= 0.8
    if streams:
        assert asked.streamed().ttft_ms < 800
    else:
        assert asked.answered().response.response_time_ms < 800


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("level", ["timeouts", "provider_timeouts"])
def test_no_time_at_all(level: str, streams: bool) -> None:
    limits = {level: TimeoutsConfig(0, 0, None)}
    asked = ask({"p": GOOD_STREAM if streams else GOOD}, stream=streams, **limits)
    assert "timeout (0ms)" in str(asked.failed())
    assert asked.counts() == {"p": 0}


def test_no_time_is_too_little_for_a_call_that_never_waits() -> None:
    async def call() -> str:
        return "done"

    async def run() -> str:
        return await bounded(call(), complete(0), stream=False, error=ModelTimeout, name="m")

    with pytest.raises(ModelTimeout):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(1, "1ms"), (400, "400ms"), (1000, "1s"), (1200, "1.2s"), (2000, "2s"), (90500, "90.5s")],
)
def test_durations_as_texts_show_them(milliseconds: int, text: str) -> None:
    error = VariantTimeout("v", "streaming_total", milliseconds)
    assert str(error) == (
        f"Variant `v` timed out due to configured `streaming.total_ms` timeout ({text})"
    )


def test_a_timeout_of_another_cause_is_not_taken_for_the_deadline() -> None:
    async def call() -> None:
        raise TimeoutError("the resolver's own")

    async def run() -> None:
        await bounded(call(), complete(5000), stream=False, error=ModelTimeout, name="m")

    with pytest.raises(TimeoutError, match="the resolver's own"):
        asyncio.run(run())
