"""Retries of a model call: exponential delays with jitter."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tensorzero.config.variant import RetryConfig
from tensorzero.types.errors import AllRetriesFailed, GatewayError

log = logging.getLogger(__name__)
T = TypeVar("T")


def base_delay_s(retry: int, max_delay_s: float) -> float:
    """The delay before retry ``retry`` (from 1), without jitter, in seconds.

    1 s, then doubled up to the cap; the first is 1 s even where the cap is less.
    """
    delay = 1.0
    for _ in range(retry - 1):
        delay = min(2 * delay, max_delay_s)
    return delay


async def with_retries(
    call: Callable[[], Awaitable[T]], retries: RetryConfig
) -> tuple[T, list[GatewayError]]:
    """The first success, and the errors of the attempts before it.

    Raises the error itself after one attempt, ``AllRetriesFailed`` after more.
    """
    errors: list[GatewayError] = []
    while True:
        try:
            return await call(), errors
        except GatewayError as error:
            errors.append(error)
            if len(errors) > retries.num_retries or not error.retryable:
                if len(errors) == 1:
                    raise
                raise AllRetriesFailed(errors) from None
            pause = base_delay_s(len(errors), retries.max_delay_s)
            jittered = pause * (1.0 + random.random())
            log.warning("attempt %d failed, next in %.1f s: %s", len(errors), jittered, error)
            await asyncio.sleep(jittered)
