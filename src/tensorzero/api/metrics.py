"""``GET /metrics``: the figures of all workers together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from tensorzero.gateway.metrics import exposition
from tzcore.metrics import read_counters

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsRoute:
    """Sums the files of a gateway's workers; one that died still counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def __call__(self, request: Request) -> Response:
        total: Counter[str] = Counter()
        for path in sorted(self.folder.glob("*.counters")):
            total.update(read_counters(str(path)))
        return Response(exposition(dict(total)), media_type=CONTENT_TYPE)
