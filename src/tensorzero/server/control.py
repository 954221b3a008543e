"""The shipper's end of the Unix socket between it and the workers.

One JSON object a line. A worker says ``{"hello": writer}`` first, then ``{"wake": true}`` when
it has written after the shipper fell idle, and ``{"flush": [segment, offset]}`` when an answer
waits for its rows. The shipper says ``{"shipped": [segment, offset], "idle": bool}`` whenever
that worker's rows have got further, or when nothing of them is left. Questions carry a number
that their answer repeats: ``{"ask": 1, "find": {"inferences": [id], "episodes": []}}`` asks what
is on its way to the database, answered by ``{"ask": 1, "found": {id: table}, "complete": bool}``
(with ``"row": true`` in the question by ``{id: [table, row]}``); ``{"ask": 2, "status": true}``.
Losing the socket costs latency, never rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import orjson

from tensorzero.storage.shipper.shipper import Shipper
from tensorzero.storage.spool.directory import Position

log = logging.getLogger(__name__)

_LINE_BYTES = 64 * 1024
_UNREAD_BYTES = 256 * 1024


class Control:
    """Serves the workers of one gateway."""

    def __init__(
        self,
        shipper: Shipper,
        path: str,
        while_asked: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """``while_asked`` makes what is entered while a question is answered."""
        self.shipper = shipper
        self.path = path
        self.while_asked = while_asked
        self._server: asyncio.AbstractServer | None = None
        self._connections: set[_Connection] = set()
        shipper.on_progress = self._progress

    async def start(self) -> None:
        """Raises ``OSError``."""
        await asyncio.to_thread(Path(self.path).unlink, missing_ok=True)
        umask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, self.path, limit=_LINE_BYTES
            )
        finally:
            os.umask(umask)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        for connection in self._connections:
            connection.writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self.shipper, writer, self.while_asked)
        self._connections.add(connection)
        try:
            while line := await reader.readline():
                await connection.receive(orjson.loads(line))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            log.debug("a control connection ended: %s", error)
        finally:
            self._connections.discard(connection)
            writer.close()

    def _progress(self, shipped: dict[str, Position], idle: bool) -> None:
        for connection in self._connections:
            connection.progress(shipped, idle)


class _Connection:
    """One worker. ``awake``: it has been told that it need not say when it writes."""

    def __init__(
        self,
        shipper: Shipper,
        writer: asyncio.StreamWriter,
        while_asked: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.shipper = shipper
        self.writer = writer
        self.while_asked = while_asked
        self.name = ""
        self.awake = False
        self.told: Position | None = None

    async def receive(self, message: dict[str, Any]) -> None:
        if "hello" in message:
            self.name = str(message["hello"])
        elif "flush" in message:
            segment, offset = message["flush"]
            self.awake = True
            self.told = None
            self.shipper.flush(self.name, Position(int(segment), int(offset)))
            self.progress(self.shipper.spool.shipped, False)
        elif "wake" in message:
            self.awake = True
            self.shipper.wake()
        elif "ask" in message:
            with self.while_asked():
                await self._answer(message)

    async def _answer(self, message: dict[str, Any]) -> None:
        shipper = self.shipper
        answer: dict[str, Any] = {"ask": message["ask"]}
        if "find" in message:
            wanted = message["find"]
            found = await shipper.find(wanted["inferences"], wanted["episodes"])
            answer["complete"] = found.complete
            answer["found"] = {
                id_: [table, row.decode()] if "row" in message else table
                for id_, (table, row) in found.rows.items()
            }
        else:
            rows, complete = await shipper.waiting_rows()
            answer |= {
                "waiting_rows": rows,
                "waiting_rows_complete": complete,
                "inserted": shipper.delivery.inserted,
                "quarantined": shipper.quarantine.count,
                "last_error": shipper.last_error,
            }
        self._send(answer)
        await self.writer.drain()

    def progress(self, shipped: dict[str, Position], idle: bool) -> None:
        """Tell the worker what is new for it."""
        position = shipped.get(self.name)
        ends = idle and self.awake
        if not ends and (position is None or position == self.told):
            return
        if position is None:  # it has written feedback alone
            position = Position(0)
        if self.writer.transport.get_write_buffer_size() > _UNREAD_BYTES:
            return  # a worker that does not read; it waits no longer than its time-out
        self.told = position
        if ends:
            self.awake = False
        self._send({"shipped": [position.segment, position.offset], "idle": ends})

    def _send(self, message: dict[str, Any]) -> None:
        if not self.writer.is_closing():
            self.writer.write(orjson.dumps(message) + b"\n")
