"""A real HTTP server that speaks Chat Completions, and misbehaves on request.

The model name says how: ``ok``, ``status-500``, ``garbage``, ``cut``, ``slow``, ``cut-stream``.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = json.loads(body)
        self.server.requests.append((dict(self.headers), body.decode()))
        model = request["model"]
        if model.startswith("status-"):
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
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"
