"""Credentials that end, whatever their kind: fetched once, renewed early, kept through failures."""

from __future__ import annotations

import asyncio
import threading

import pytest

from providers.clock import Clock, run, settled
from tensorzero.providers.renewal import FAILED_S, JUST_MADE_S, Lease, RenewedCredential
from tensorzero.types.errors import GCPCredentials

LIFETIME_S = 3600.0
RENEW_IN_S = 3000.0
PAUSE_S = 30.0


class Source:
    """Numbered credentials; waits for ``open``, fails while ``fault`` is set."""

    def __init__(self, clock: Clock | None = None, lifetime_s: float = LIFETIME_S) -> None:
        self.clock = clock
        self.lifetime_s = lifetime_s
        self.fetched = 0
        self.asked = 0
        self.fault: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.renewed = RenewedCredential("a thing", self.fetch, PAUSE_S)

    def fetch(self) -> Lease[str]:
        self.asked += 1
        assert self.open.wait(30)
        if self.fault is not None:
            raise self.fault
        self.fetched += 1
        clock, ends = self.clock, 0.0
        if clock is not None:
            ends = clock.ticks + self.lifetime_s
        return Lease(
            str(self.fetched), RENEW_IN_S, lambda: clock is not None and clock.ticks >= ends
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_one_is_kept_and_renewed_beside_the_requests(clock: Clock) -> None:
    async def test() -> None:
        source = Source(clock)
        renewed = source.renewed
        assert renewed.current() is None
        assert await renewed.get() == renewed.held == "1"
        clock.pass_by(RENEW_IN_S - 1)
        assert await renewed.get() == "1"
        assert source.asked == 1
        clock.pass_by(2)
        source.open.clear()
        # A renewal has begun: it is not waited for, and there is one only.
        assert [await renewed.get() for _ in range(5)] == ["1"] * 5
        source.open.set()
        await settled(renewed)
        assert renewed.current() == renewed.held == renewed.latest == "2"
        assert source.asked == 2

    run(test())


def test_all_wait_for_one_first_fetch() -> None:
    async def test() -> None:
        source = Source()
        source.open.clear()
        waiting = [asyncio.create_task(source.renewed.get()) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # a client that leaves takes nothing from the others
        await asyncio.sleep(0)
        source.open.set()
        assert set(await asyncio.gather(*waiting[1:])) == {"1"}
        assert source.asked == 1

    run(test())


def test_what_has_ended_is_not_sent(clock: Clock) -> None:
    async def test() -> None:
        renewed = Source(clock).renewed
        await renewed.get()
        clock.pass_by(LIFETIME_S)
        assert renewed.current() is renewed.held is None
        # For a request that has been prepared for long.
        assert renewed.latest == "1"
        assert await renewed.get() == "2"

    run(test())


@pytest.mark.parametrize("moved", ["the wall clock", "the monotonic clock"])
def test_either_clock_begins_a_renewal(clock: Clock, moved: str) -> None:
    async def test() -> None:
        renewed = Source(clock).renewed
        await renewed.get()
        if moved == "the wall clock":
            clock.wall += RENEW_IN_S
            clock.ticks += PAUSE_S
        else:
            clock.ticks += RENEW_IN_S
        assert renewed.current() == "1"
        await settled(renewed)
        assert renewed.current() == "2"

    run(test())


@pytest.mark.parametrize("lifetime_s", [-10.0, 0.0, 4.0])
def test_a_short_lived_one_serves_for_a_moment(clock: Clock, lifetime_s: float) -> None:
    async def test() -> None:
        source = Source(clock, lifetime_s)
        renewed = source.renewed
        assert await renewed.get() == "1"
        clock.pass_by(JUST_MADE_S - 0.1)
        assert await renewed.get() == "1"
        clock.pass_by(0.2)
        assert await renewed.get() == "2"

    run(test())


def test_a_failed_renewal_leaves_the_old_one(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        source = Source(clock)
        renewed = source.renewed
        await renewed.get()
        source.fault = GCPCredentials("no network")
        clock.pass_by(RENEW_IN_S + 1)
        for _ in range(3):  # not tried again at once
            assert await renewed.get() == "1"
            await settled(renewed)
        assert caplog.text.count("a thing cannot be renewed now") == 1
        assert caplog.text.count("no network") == 1
        clock.pass_by(PAUSE_S)
        source.fault = ValueError("a key of somebody")
        assert await renewed.get() == "1"
        await settled(renewed)
        assert "ValueError" in caplog.text
        assert "a key of somebody" not in caplog.text
        clock.pass_by(PAUSE_S)
        source.fault = None
        assert await renewed.get() == "1"
        await settled(renewed)
        assert await renewed.get() == "2"
        assert source.asked == 4

    run(test())


def test_a_failure_is_said_to_all_and_stands_for_a_moment(clock: Clock) -> None:
    async def test() -> None:
        source = Source(clock)
        renewed = source.renewed
        source.fault = GCPCredentials("no network")
        for _ in range(2):
            results = await asyncio.gather(
                *(renewed.get() for _ in range(3)), return_exceptions=True
            )
            assert results == [source.fault] * 3
        assert source.asked == 1
        source.fault = None
        clock.pass_by(FAILED_S)
        assert await renewed.get() == "1"

    run(test())


def test_nobody_is_left_to_hear_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """The loop says nothing of an exception that was never retrieved."""

    async def test() -> None:
        source = Source()
        source.open.clear()
        source.fault = GCPCredentials("no network")
        waiting = asyncio.create_task(source.renewed.get())
        await asyncio.sleep(0)
        waiting.cancel()
        source.open.set()
        await settled(source.renewed)

    run(test())
    assert caplog.text == ""


def test_a_look_before_the_first_request() -> None:
    async def test() -> None:
        source = Source()
        renewed = source.renewed
        renewed.look()
        renewed.look()
        await settled(renewed)
        assert renewed.current() == "1"
        renewed.look()
        assert source.asked == 1
        renewed.drop()
        assert renewed.current() is None
        assert await renewed.get() == "2"

    run(test())
