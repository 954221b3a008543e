"""The load generator counts and times right, against servers whose answers are known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from build import build
from loads import load


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Callable[[Any, int], None]) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def next(self, body: bytes) -> int:
        with self.lock:
            self.bodies.append(body)
            return len(self.bodies) - 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.answer(self, self.server.next(body))

    def reply(self, status: int, body: bytes, *, chunked: bool = False) -> None:
        self.send_response(status)
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if not chunked:
            self.wfile.write(body)
        self.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def serving(answer: Callable[[Any, int], None]) -> Iterator[tuple[_Server, str]]:
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}/x"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    path = tmp_path / "request.json"
    path.write_bytes(b'{"prompt":"' + b"x" * 300_000 + b'"}')
    return path


def test_every_request_arrives_whole_and_is_counted(request_file: Path) -> None:
    with serving(lambda handler, _: handler.reply(200, b"{}")) as (server, url):
        result = load(url, request_file, seconds=20, warmup=0, requests=60, connections=4)
    assert result.raw["sent"] == result.good_total == len(server.bodies) == 60
    assert result.errors == 0
    assert set(server.bodies) == {request_file.read_bytes()}
    assert result.raw["latency_us"]["count"] == 60


def test_bad_statuses_and_broken_answers_are_told_apart(request_file: Path) -> None:
    def answer(handler: Any, number: int) -> None:
        if number % 4 == 1:
            handler.reply(500, b"no")
        elif number % 4 == 2:
            handler.send_response(200)
            handler.send_header("content-length", "1000")
            handler.end_headers()
            handler.wfile.write(b"cut")
            handler.close_connection = True
        elif number % 4 == 3:
            handler.reply(200, b"", chunked=True)
            for _ in range(3):
                handler.chunk(b"abc" * 5)
            handler.chunk(b"")
        else:
            handler.reply(200, b"{}")

    with serving(answer) as (_, url):
        result = load(url, request_file, seconds=20, warmup=0, requests=40, connections=1)
    assert result.good_total == 20
    assert result.raw["failures"]["status"] == 10
    assert result.raw["failures"]["broken"] == 10
    assert result.errors == 20
    assert result.raw["statuses"]["500"] == 10


def test_percentiles_are_those_of_known_delays(request_file: Path) -> None:
    def answer(handler: Any, number: int) -> None:
        if number % 10 == 9:
            time.sleep(0.2)
        handler.reply(200, b"{}")

    with serving(answer) as (_, url):
        result = load(url, request_file, seconds=30, warmup=0, requests=100, connections=1)
    slow = sum(result.latency(percentile) >= 200_000 for percentile in ("p99", "p99_9", "max"))
    assert slow == 3
    assert result.latency("min") <= result.latency("p50") < 200_000
    # Ten of a hundred wait 200 ms: they alone add 20 ms to the mean.
    assert result.latency("mean") >= 20_000
    assert result.latency("max") < 5_000_000


def test_latency_counts_from_the_scheduled_time(request_file: Path) -> None:
    """One connection, 50 requests a second, 100 ms each: the queue grows, and with it the
    latency; measured from the time of sending it would stay at 100 ms."""

    def answer(handler: Any, _: int) -> None:
        time.sleep(0.1)
        handler.reply(200, b"{}")

    with serving(answer) as (server, url):
        result = load(url, request_file, seconds=0.5, warmup=0, rate=50, connections=1)
    assert result.raw["sent"] == len(server.bodies) == 25
    assert result.latency("max") >= 1_900_000
    assert result.latency("p50") >= 800_000


def test_a_request_that_never_gets_an_answer_is_an_error(request_file: Path) -> None:
    over = threading.Event()

    def answer(handler: Any, number: int) -> None:
        if number:
            over.wait(20)
        handler.reply(200, b"{}")
        handler.close_connection = True

    with serving(answer) as (_, url):
        result = load(url, request_file, seconds=0.5, warmup=0, rate=10, connections=1, timeout_s=1)
        over.set()
    assert result.good_total == 1
    assert result.errors == 4
    assert result.raw["latency_us"]["count"] == 5


def test_streams_time_the_first_event_and_need_their_end(request_file: Path) -> None:
    def answer(handler: Any, number: int) -> None:
        handler.reply(200, b"", chunked=True)
        handler.chunk(b'data: {"a"')
        time.sleep(0.05)
        handler.chunk(b":1}\n\ndata: {}\n\n")
        time.sleep(0.2)
        handler.chunk(b": comment\n\ndata: {}\n\n")
        if number % 2 == 0:
            handler.chunk(b"data: [DO")
            handler.chunk(b"NE]\n\n")
        handler.chunk(b"")

    with serving(answer) as (_, url):
        result = load(
            url, request_file, seconds=20, warmup=0, requests=6, connections=2, stream=True
        )
    assert result.good_total == 3
    assert result.raw["failures"]["stream"] == 3
    assert result.raw["chunks"] == {"total": 9, "fewest": 3, "most": 3}
    assert result.first_chunk("min") >= 50_000
    assert result.latency("min") - result.first_chunk("min") >= 190_000


def test_another_status_may_be_the_good_one(request_file: Path) -> None:
    with serving(lambda handler, number: handler.reply(502 if number else 200, b"{}")) as (_, url):
        result = load(url, request_file, seconds=20, warmup=0, requests=5, expect=502)
    assert (result.good_total, result.raw["failures"]["status"]) == (4, 1)


@pytest.mark.parametrize("leave", [0, 500])
def test_it_leaves_when_it_is_told_to(request_file: Path, leave: int) -> None:
    left = threading.Semaphore(0)

    def answer(handler: Any, number: int) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 900)
        handler.wfile.flush()
        with suppress(OSError):
            assert handler.rfile.read(1) == b""
        left.release()
        handler.close_connection = True

    with serving(answer) as (server, url):
        result = load(
            url, request_file, seconds=20, warmup=0, requests=6, connections=2, leave=leave
        )
        for _ in range(6):
            assert left.acquire(timeout=30)
    assert result.good_total == len(server.bodies) == 6
    assert (result.raw["bytes_in"] >= 500 * 6) is (leave == 500)


def test_it_sends_to_this_machine_alone(request_file: Path) -> None:
    with pytest.raises(SystemExit, match="loopback"):
        load("http://10.1.2.3:80/x", request_file, seconds=1)


def test_the_build_is_kept_until_a_source_changes(tmp_path: Path) -> None:
    first = (build(tmp_path) / "load").stat().st_mtime_ns
    assert (build(tmp_path) / "load").stat().st_mtime_ns == first
    assert {path.name for path in tmp_path.iterdir()} == {"load", "mock"}
