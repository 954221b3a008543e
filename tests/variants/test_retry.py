"""The retry loop: how often, and how long between."""

from __future__ import annotations

import asyncio

import pytest

from tensorzero.config.variant import RetryConfig
from tensorzero.types.errors import (
    AllModelProvidersFailed,
    AllRetriesFailed,
    GatewayError,
    InferenceServer,
    ModelTimeout,
)
from tensorzero.variants import retry
from tensorzero.variants.retry import base_delay_s, with_retries


@pytest.mark.parametrize(
    ("cap", "delays"),
    [
        (10.0, [1, 2, 4, 8, 10, 10, 10]),
        (3.0, [1, 2, 3, 3]),
        (0.1, [1, 0.1, 0.1]),
        (0.0, [1, 0, 0]),
        (1e9, [1, 2, 4, 8, 16, 32]),
    ],
)
def test_delays_without_jitter(cap: float, delays: list[float]) -> None:
    assert [base_delay_s(number + 1, cap) for number in range(len(delays))] == delays


def failure(message: str = "no") -> InferenceServer:
    return InferenceServer(message, provider_type="openai", api_type="chat_completions")


class Calls:
    """A call that fails with each of ``errors`` before it answers; no pause is really waited."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: GatewayError) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []
        self.count = 0
        monkeypatch.setattr(retry, "asyncio", self)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def call(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def run(self, retries: RetryConfig) -> tuple[str, list[GatewayError]]:
        return asyncio.run(with_retries(self.call, retries))


def test_the_first_success_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [failure("one"), ModelTimeout("m", "streaming_ttft", 5)]
    calls = Calls(monkeypatch, *errors)
    assert calls.run(RetryConfig(5)) == ("answer", errors)
    assert calls.count == 3
    assert 1 <= calls.pauses[0] < 2 <= calls.pauses[1] < 4


def test_jitter_is_up_to_the_delay_again(monkeypatch: pytest.MonkeyPatch) -> None:
    firsts = []
    for _ in range(200):
        calls = Calls(monkeypatch, failure())
        calls.run(RetryConfig(1, 0.5))
        firsts += calls.pauses
    assert all(1 <= pause < 2 for pause in firsts)
    assert min(firsts) < 1.2 and max(firsts) > 1.8


def test_every_error_is_told_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(
        monkeypatch, failure("one"), failure("two"), ModelTimeout("m", "streaming_ttft", 5)
    )
    with pytest.raises(AllRetriesFailed) as caught:
        calls.run(RetryConfig(2))
    assert calls.count == 3
    assert len(calls.pauses) == 2
    assert str(caught.value).startswith(
        "All retries failed with errors: Error from openai server: one, "
        "Error from openai server: two, Model `m` timed out"
    )
    assert caught.value.status == 408, "the last error's"
    assert not caught.value.retryable


def test_a_single_error_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failure()
    calls = Calls(monkeypatch, error)
    with pytest.raises(InferenceServer) as caught:
        calls.run(RetryConfig(0))
    assert caught.value is error
    assert calls.pauses == []


class Final(GatewayError):
    """An error that trying again cannot help."""

    retryable = False


def test_what_is_not_retryable_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, Final("stop"))
    with pytest.raises(Final):
        calls.run(RetryConfig(5))
    assert calls.count == 1
    calls = Calls(monkeypatch, failure(), Final("stop"))
    with pytest.raises(AllRetriesFailed):
        calls.run(RetryConfig(5))
    assert calls.count == 2


def test_a_model_failure_is_retryable_when_any_of_its_causes_is() -> None:
    assert AllModelProvidersFailed({"a": Final("x"), "b": failure()}).retryable
    assert not AllModelProvidersFailed({"a": Final("x"), "b": Final("y")}).retryable
