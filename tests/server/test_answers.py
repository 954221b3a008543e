"""What is on every answer, whoever of the parsers and routes gives it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from gateway.running import Gateway
from server.silent import body, silent
from tensorzero.version import VERSION


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = silent(tmp_path_factory.mktemp("answers"))
    yield gateway
    assert gateway.stop() == 0


def raw(gateway: Gateway, request: bytes) -> bytes:
    """Everything that comes back for these bytes."""
    port = int(gateway.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


HOST = b"Host: x\r\n"
REFUSED = {
    "not HTTP": (b"GARBAGE\r\n\r\n", 400),
    "bare LF": (b"GET /status HTTP/1.1\n\n", 400),
    "two lengths": (
        b"POST /inference HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    ),
    "bad chunk": (
        b"POST /inference HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    "large head": (b"GET /status HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_request(running: Gateway, name: str) -> None:
    request, status = REFUSED[name]
    head = raw(running, request).partition(b"\r\n\r\n")[0].decode().lower()
    assert head.startswith(f"http/1.1 {status} ")
    assert f"x-tensorzero-gateway-version: {VERSION}" in head
    assert httpx.get(f"{running.url}/status").status_code == 200


ANSWERS = [
    ("GET", "/status", {}, 200),
    ("HEAD", "/status", {}, 200),
    ("HEAD", "/health", {}, 200),
    ("GET", "/health", {}, 200),
    ("POST", "/status", {}, 405),
    ("PUT", "/inference", {}, 405),
    ("GET", "/inference", {}, 405),
    ("POST", "/inference/", {}, 404),
    ("DELETE", "/nope", {}, 404),
    ("POST", "/inference", {"content": b"{"}, 400),
    ("POST", "/inference", {"content": b"x", "headers": {"content-encoding": "deflate"}}, 415),
    ("POST", "/inference", {"json": body()}, 200),
    ("POST", "/inference", {"json": body("dummy::error")}, 502),
]


@pytest.mark.parametrize(("method", "path", "extra", "status"), ANSWERS)
def test_version_and_date(
    running: Gateway, method: str, path: str, extra: dict[str, object], status: int
) -> None:
    answer = httpx.request(method, running.url + path, **extra)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    assert answer.headers.get_list("x-tensorzero-gateway-version") == [VERSION]
    assert answer.headers["date"].endswith(" GMT")
    if status == 405:
        assert answer.content == b""
        assert answer.headers["allow"] == ("POST" if path == "/inference" else "GET,HEAD")
    if method == "HEAD":
        assert answer.content == b""


def test_status_names_version_and_config(running: Gateway) -> None:
    status = httpx.get(f"{running.url}/status").json()
    assert list(status) == ["status", "version", "config_hash"]
    assert (status["status"], status["version"]) == ("ok", VERSION)
    assert status["config_hash"].isdigit()
