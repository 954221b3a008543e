"""A worker's recorder: appends to its spool, and talks to the shipper."""

from __future__ import annotations

import asyncio
import logging

import orjson

from tensorzero.gateway.recorder import Rows
from tensorzero.types.errors import ObservabilityUnavailable
from tzcore.spool import SpoolFull, Writer

log = logging.getLogger(__name__)

WAIT_S = 5.0
"""The longest that the waiting mode holds an answer back."""
RESERVE_BYTES = 1 << 20


class ShipperClient:
    """The control socket's other end; losing it costs latency, never rows."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def ask(self, message: dict[str, object], timeout_s: float) -> dict[str, object] | None:
        """One question, one answer; ``None`` when the shipper cannot be asked in time."""
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_unix_connection(self.path)
                try:
                    writer.write(orjson.dumps(message) + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
            answer = orjson.loads(line)
        except (OSError, TimeoutError, orjson.JSONDecodeError) as error:
            log.debug("the shipper does not answer: %s", error)
            return None
        return answer if isinstance(answer, dict) else None


class SpoolRecorder:
    """Appends rows to the worker's own segments."""

    def __init__(self, writer: Writer, shipper: ShipperClient, *, required: bool) -> None:
        self.writer = writer
        self.shipper = shipper
        self.required = required
        self.full = False
        self.dropped = 0
        self.name = writer.directory.rstrip("/").rsplit("/", 1)[-1]

    def check(self) -> None:
        if not self.required:
            return
        try:
            self.writer.reserve(RESERVE_BYTES)
        except SpoolFull as error:
            self.full = True
            raise ObservabilityUnavailable(
                f"Recording is required (`gateway.observability.enabled = true`), and there is no "
                f"room for it: {error}"
            ) from None
        self.full = False

    def append(self, rows: Rows) -> object | None:
        try:
            position = self.writer.append(rows)
        except SpoolFull as error:
            self.full = True
            self.dropped += 1
            log.error("an inference is not recorded (%d so far): %s", self.dropped, error)
            return None
        self.full = False
        return position

    async def flushed(self, position: object | None) -> None:
        if not isinstance(position, tuple):
            return
        segment, offset = position
        message: dict[str, object] = {
            "flush": {"writer": self.name, "segment": segment, "offset": offset}
        }
        answer = await self.shipper.ask(message, WAIT_S)
        if answer is None or answer.get("ok") is not True:
            log.warning("the database did not confirm an inference in %s s", WAIT_S)

    def close(self) -> None:
        self.writer.close()
