"""A real HTTP server that speaks Chat Completions, and misbehaves on request.

The model name says how: ``ok``, ``status-500``, ``garbage``, ``cut``, ``slow``, ``cut-stream``,
``echo-key``; a test may also put an answer of its own under a model's name in ``scripts``. GET
serves what is in ``files``, paths that begin with ``/slow`` after seven seconds.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUT = object()
"""In a scripted stream: close the connection here."""

Script = dict[str, Any] | list[Any]
"""An answer body; or a stream: events (dicts, or payloads as text), seconds to wait, ``CUT``."""

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Provider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = json.loads(body)
        self.server.requests.append((dict(self.headers), body.decode()))
        self.server.paths.append(self.path)
        model = request["model"]
        script = self.server.scripts.get(model)
        if script is not None:
            self._follow(script)
        elif model == "echo-key":
            told = json.dumps({"error": f"bad key {self.headers['authorization']}"})
            self._answer(401, told.encode(), "application/json")
        elif model.startswith("status-"):
            status = int(model.removeprefix("status-"))
            self._answer(status, b'{"error":{"message":"no"}}', "application/json")
        elif model == "garbage":
            self._answer(200, b"<html>not JSON", "application/json")
        elif model == "cut":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices":')
            self.close_connection = True
        elif request.get("stream"):
            self._stream(model)
        else:
            if model == "slow":
                time.sleep(1.0)
            self._answer(200, json.dumps(self._completion(request)).encode(), "application/json")

    def do_GET(self) -> None:
        self.server.fetched.append(self.path)
        self.server.agents.add(self.headers["user-agent"])
        found = self.server.files.get(self.path)
        if found is None:
            self._answer(404, b"no such file", "text/plain")
        else:
            if self.path.startswith("/slow"):
                time.sleep(7)
            self._answer(200, found[1], found[0])

    def _follow(self, script: Script) -> None:
        if isinstance(script, dict):
            self._answer(200, json.dumps(script).encode(), "application/json")
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in script:
            if event is CUT:
                self.close_connection = True
                return
            if isinstance(event, float):
                time.sleep(event)
            elif isinstance(event, str):
                self._chunk(b"data: " + event.encode() + b"\n\n")
            else:
                self._event(event)
        self._chunk(b"")

    def _completion(self, request: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "Hello!"}
        if request["model"] == "tool":
            call = {"name": "weather", "arguments": '{"city":"Lyon"}'}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            }
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "x", "choices": [choice], "usage": USAGE}

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, model: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for index, word in enumerate(("Hel", "lo", "!")):
            if model == "cut-stream" and index == 2:
                self.close_connection = True
                return
            if model == "slow":
                time.sleep(0.2)
            self._event({"choices": [{"index": 0, "delta": {"content": word}}]})
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": USAGE})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, data: dict[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(data).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        return


class Provider(ThreadingHTTPServer):
    """Runs in a thread; ``requests`` holds headers and body of every call."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[dict[str, str], str]] = []
        self.paths: list[str] = []
        self.scripts: dict[str, Script] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.fetched: list[str] = []
        self.agents: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The bodies of all calls, parsed."""
        return [json.loads(body) for _, body in self.requests]

    @property
    def last(self) -> dict[str, Any]:
        """The body of the last call."""
        return self.sent[-1]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def message(content: str | None = "Hello!", finish: str | None = "stop", **fields: Any) -> Script:
    """A scripted answer: one assistant message. ``usage=None`` leaves the usage out."""
    usage = fields.pop("usage", USAGE)
    told = {"role": "assistant", "content": content, **fields}
    answer: dict[str, Any] = {
        "id": "x",
        "choices": [{"index": 0, "message": told, "finish_reason": finish}],
    }
    if usage is not None:
        answer["usage"] = usage
    return answer


def tool_call(name: str, arguments: str, call_id: str = "call_1") -> dict[str, Any]:
    """One entry of ``tool_calls``."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def delta(**fields: Any) -> dict[str, Any]:
    """A scripted event."""
    return {"choices": [{"index": 0, "delta": fields}]}


def ending(finish: str | None = "stop", usage: dict[str, Any] | None = USAGE) -> list[Any]:
    """The last events of a well-behaved stream."""
    events: list[Any] = [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}]
    if usage is not None:
        events.append({"choices": [], "usage": usage})
    return [*events, "[DONE]"]
