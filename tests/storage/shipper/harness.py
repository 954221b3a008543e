"""A ClickHouse server whose engine is real and whose connection misbehaves; rows; what a
database holds of them."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import orjson

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import QueryError
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.shipper.shipper import Shipper
from tzcore.spool import Writer

_numbers = itertools.count()


def new_id() -> str:
    number = next(_numbers)
    ms = int(time.time() * 1000)
    return str(UUID(int=ms << 80 | 7 << 76 | (number >> 12 & 0xFFF) << 64 | 2 << 62 | number))


def inference(function: str, **columns: Any) -> list[tuple[bytes, bytes]]:
    """One chat inference with its model inference, as the gateway records them."""
    id_ = columns.pop("id", None) or new_id()
    chat = {
        "id": id_,
        "function_name": function,
        "variant_name": "v",
        "episode_id": new_id(),
        "input": '{"messages":[]}',
        "output": "[]",
        "tool_params": "",
        "inference_params": '{"chat_completion":{}}',
        "processing_time_ms": 5,
        "tags": {"k": "v"},
        "extra_body": "[]",
    } | columns
    model = {
        "id": new_id(),
        "inference_id": id_,
        "raw_request": "{}",
        "raw_response": "{}",
        "model_name": function,
        "model_provider_name": "p",
        "input_tokens": 3,
        "output_tokens": 2,
        "response_time_ms": 4,
        "input_messages": "[]",
        "output": "[]",
        "function_name": function,
        "variant_name": "v",
    }
    return [(b"ChatInference", orjson.dumps(chat)), (b"ModelInference", orjson.dumps(model))]


def feedback(target: str, **columns: Any) -> list[tuple[bytes, bytes]]:
    """A boolean on an inference or an episode."""
    row = {"id": new_id(), "target_id": target, "metric_name": "m", "value": True, "tags": {}}
    return [(b"BooleanMetricFeedback", orjson.dumps(row | columns))]


def feedback_held(db: EmbeddedDatabase, metric: str) -> dict[str, int]:
    """Rows of a metric in the tables that feedback ends up in."""
    counts = {
        "BooleanMetricFeedback": "count()",
        "BooleanMetricFeedbackByTargetId": "count()",
        "BooleanMetricFeedbackByVariant": "count()",
        "FeedbackByVariantStatistics": "sum(count)",
    }
    return {
        table: int(db.command(f"SELECT {figure} FROM {table} WHERE metric_name = '{metric}'") or 0)
        for table, figure in counts.items()
    }


def ids_of(frames: list[list[tuple[bytes, bytes]]]) -> list[str]:
    return [orjson.loads(frame[0][1])["id"] for frame in frames]


def held(db: EmbeddedDatabase, function: str) -> dict[str, int]:
    """Rows of a function in each table that an inference ends up in."""

    def count(sql: str) -> int:
        return int(db.command(sql.format(f=function)) or 0)

    where = "WHERE function_name = '{f}'"
    by_id = f"SELECT toUInt128(id) FROM ChatInference {where}"
    return {
        "ChatInference": count(f"SELECT count() FROM ChatInference {where}"),
        "ModelInference": count(f"SELECT count() FROM ModelInference {where}"),
        "InferenceById": count(f"SELECT count() FROM InferenceById {where}"),
        "InferenceByEpisodeId": count(f"SELECT count() FROM InferenceByEpisodeId {where}"),
        "EpisodeById": count(
            "SELECT sum(length(ids)) FROM (SELECT groupArrayMerge(inference_ids) AS ids FROM "
            "EpisodeById WHERE episode_id_uint IN (SELECT episode_id_uint FROM "
            f"InferenceByEpisodeId {where}) GROUP BY episode_id_uint)"
        ),
        "InferenceTag": count(f"SELECT count() FROM InferenceTag {where}"),
        "TagInference": count(f"SELECT count() FROM TagInference {where}"),
        "VariantStatistics": count(f"SELECT countMerge(count) FROM VariantStatistics {where}"),
        "tokens": count(f"SELECT sumMerge(total_input_tokens) / 3 FROM VariantStatistics {where}"),
        "ModelProviderStatistics": count(
            "SELECT countMerge(count) FROM ModelProviderStatistics WHERE model_name = '{f}'"
        ),
        "distinct": count(f"SELECT uniqExact(id) FROM ChatInference {where}"),
        "unknown": count(f"SELECT count() FROM InferenceById {where} AND id_uint NOT IN ({by_id})"),
    }


def exactly(count: int) -> dict[str, int]:
    return {
        "ChatInference": count,
        "ModelInference": count,
        "InferenceById": count,
        "InferenceByEpisodeId": count,
        "EpisodeById": count,
        "InferenceTag": count,
        "TagInference": count,
        "VariantStatistics": count,
        "tokens": count,
        "ModelProviderStatistics": count,
        "distinct": count,
        "unknown": 0,
    }


@dataclass
class Insert:
    """An insert as it came over the wire."""

    table: str
    settings: dict[str, str]
    rows: list[bytes]

    @property
    def token(self) -> str:
        return self.settings["insert_deduplication_token"]


SILENCE_S = 4.0

Fault = Callable[["FakeClickHouse", "Handler", Callable[[], None]], bool]
"""Gets the server, the connection, and what runs the insert; ``True`` when it has answered (or
cut the connection)."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is part of these tests."""


@dataclass
class FakeClickHouse:
    """The HTTP face of ClickHouse over the embedded engine. ``faults`` are used up by inserts in
    order; ``None`` in it is an insert that goes well."""

    engine: EmbeddedDatabase
    faults: deque[Fault | None] = field(default_factory=deque)
    inserts: list[Insert] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    port: int = 0
    server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        handler = type("Bound", (Handler,), {"fake": self})
        self.server = _Server(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        """Refuse connections from here on; ``start`` comes back on the same port."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.port}/default"

    def client(self) -> RemoteDatabase:
        return RemoteDatabase(DatabaseURL.parse(self.url))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeClickHouse

    def do_GET(self) -> None:
        self.answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        settings = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if settings.get("query", "").startswith("INSERT INTO "):
            self._insert(settings, body)
            return
        sql = body.decode()
        self.fake.statements.append(sql)
        params = {k[6:]: v for k, v in settings.items() if k.startswith("param_")}
        text, _, format_name = sql.partition("\nFORMAT ")
        try:
            with self.fake.engine.session(
                {"mutations_sync": "2", "output_format_json_quote_64bit_integers": "1"}
            ) as session:
                answer = session.query(text, format_name or "TabSeparated", params)
        except QueryError as error:
            self.exception(error.code, error.message)
            return
        self.answer(200, answer)

    def _insert(self, settings: dict[str, str], body: bytes) -> None:
        table = settings["query"].split()[2]
        rows = body.strip(b"\n").split(b"\n")
        self.fake.inserts.append(Insert(table, settings, rows))
        fault = self.fake.faults.popleft() if self.fake.faults else None

        def run() -> None:
            self.fake.engine.insert(
                table, body, len(rows), token=settings["insert_deduplication_token"]
            )

        if fault is not None and fault(self.fake, self, run):
            return
        try:
            run()
        except Exception as error:
            code = str(error).partition("Code: ")[2].partition(".")[0]
            self.exception(int(code or 1000), str(error))
            return
        self.answer(200, b"")

    def exception(self, code: int, text: str, status: int = 400) -> None:
        message = text if "Code:" in text else f"Code: {code}. DB::Exception: {text}"
        self.answer(status, message.encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


def cut_before(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    handler.cut()
    return True


def cut_after(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    run()
    handler.cut()
    return True


def cut_in_the_answer(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    run()
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    handler.cut()
    return True


def proxy_error(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    handler.answer(502, b"<html>Bad gateway</html>")
    return True


def proxy_error_after(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    run()
    handler.answer(504, b"<html>Gateway time-out</html>")
    return True


def memory(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    handler.exception(241, "Memory limit (total) exceeded", 500)
    return True


def silent(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    """No answer before the client's time-out, though the insert is done."""
    run()
    time.sleep(SILENCE_S)
    handler.cut()
    return True


def without_views(fake: FakeClickHouse, handler: Handler, run: Callable[[], None]) -> bool:
    """Killed between the source table and its views' targets."""
    views = ("ChatInferenceByIdView", "TagChatInferenceView", "VariantStatisticsChatView")
    for view in views:
        fake.engine.command(f"DETACH TABLE {view}")
    try:
        run()
    finally:
        for view in views:
            fake.engine.command(f"ATTACH TABLE {view}")
    handler.cut()
    return True


FAULTS: dict[str, Fault] = {
    "cut before": cut_before,
    "cut after": cut_after,
    "cut in the answer": cut_in_the_answer,
    "502": proxy_error,
    "504 after": proxy_error_after,
    "memory": memory,
    "silent": silent,
    "views missing": without_views,
}


def append(writer: Writer, frames: list[list[tuple[bytes, bytes]]]) -> tuple[int, int]:
    place = (0, 0)
    for frame in frames:
        place = writer.append(frame)
    return place


async def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for what another task or thread does."""
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(0.005)


async def running(shipper: Shipper, meanwhile: Callable[[], Any]) -> None:
    """Run the shipper while ``meanwhile()`` (a coroutine function) runs."""
    stop = asyncio.Event()
    task = asyncio.create_task(shipper.run(stop))
    try:
        await meanwhile()
    finally:
        stop.set()
        await task
