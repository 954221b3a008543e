"""The real embedded engine, and a recording HTTP server, for the database tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tensorzero.storage.database.embedded import EmbeddedDatabase


@dataclass(frozen=True)
class Recorded:
    """One request as it came over the wire."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def settings(self) -> dict[str, str]:
        return dict(self.query)

    @property
    def sql(self) -> str:
        return self.settings.get("query") or self.body.decode()


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class RecordingServer:
    """Answers as ``script`` says, and keeps what it was asked."""

    port: int = 0
    requests: list[Recorded] = field(default_factory=list)
    script: Callable[[Recorded], Answer] = lambda _: (200, {}, b"")

    def statements(self) -> list[str]:
        return [request.sql for request in self.requests]


@pytest.fixture
def recording_server() -> Iterator[RecordingServer]:
    record = RecordingServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            parts = urlsplit(self.path)
            request = Recorded(
                self.command,
                parts.path,
                parse_qsl(parts.query, keep_blank_values=True),
                {name.lower(): value for name, value in self.headers.items()},
                body,
            )
            record.requests.append(request)
            status, headers, answer = record.script(request)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    record.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield record
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedDatabase]:
    """One engine for the tests of a module: a process can host only one at a time."""
    db = EmbeddedDatabase.open(tmp_path_factory.mktemp("data"))
    yield db
    db.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
