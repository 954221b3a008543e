"""``GET /metrics``: the figures of all workers together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from tensorzero.gateway.metrics import exposition
from tzcore.metrics import read_counters

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsRoute:
    """Sums the files of a gateway's workers (open descriptors); one that died still counts."""

    def __init__(self, counter_fds: Sequence[int]) -> None:
        self.counter_fds = tuple(counter_fds)

    async def __call__(self, request: Request) -> Response:
        total: Counter[str] = Counter()
        for fd in self.counter_fds:
            total.update(read_counters(fd))
        return Response(exposition(dict(total)), media_type=CONTENT_TYPE)
