"""Stands between a client that is not ours to watch and the gateway: checks all that passes."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import httpx
from openai_support import CheckingTransport

HOP = frozenset({"connection", "content-length", "host", "transfer-encoding", "accept-encoding"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CheckingProxy

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["content-length"])))

    def _pass_on(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        url = self.server.origin + self.path
        try:
            with self.server.client.stream(
                self.command, url, content=body, headers=headers
            ) as answer:
                self.server.passed += 1
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in HOP:
                        self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for data in answer.iter_bytes():
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client left
            self.close_connection = True
        except BaseException as error:  # what the check found
            self.server.faults.append(error)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        return


class CheckingProxy(ThreadingHTTPServer):
    """Leaving it raises what the checks found; ``passed`` counts the answers."""

    daemon_threads = True

    def __init__(self, origin: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin = origin
        self.client = httpx.Client(transport=CheckingTransport(), timeout=60.0)
        self.faults: list[BaseException] = []
        self.passed = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self.server_close()
        self.client.close()
        if self.faults:
            raise self.faults[0]
        if kind is None:
            assert self.passed > 0
