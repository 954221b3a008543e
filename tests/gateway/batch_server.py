"""OpenAI's files and batches on a real server: what was uploaded is answered as a test says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from upstream.scripted import Script, ScriptedServer, Seen, answer

Body = dict[str, Any]


def completion(text: str | None, **message: Any) -> Body:
    """A Chat Completions answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
    }
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}


def last_text(body: Body) -> Any:
    return body["messages"][-1]["content"]


def echo(body: Body) -> Body:
    return completion(f"re: {last_text(body)}")


class BatchServer(ScriptedServer):
    """``status`` is that of every batch; ``reply`` answers one item; ``faults`` come first."""

    def __init__(self) -> None:
        super().__init__(self._script)
        self.in_thread()
        self.reset()

    def reset(self) -> None:
        self.seen.clear()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Body] = {}
        self.status = "completed"
        self.extra: Body = {"completed_at": 1_750_000_000}
        self.reply: Callable[[Body], Body | None] = echo
        self.more_lines: list[bytes] = []
        self.faults: dict[str, Script] = {}

    def lines(self) -> list[Body]:
        """The items of the newest upload."""
        return [orjson.loads(line) for line in [*self.files.values()][-1].split(b"\n")]

    def asked(self, line: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.line.startswith(line)]

    def _script(self, seen: Seen) -> Script:
        method, path, _ = seen.line.split(" ")
        for known, fault in self.faults.items():
            if path.startswith(known):
                return fault
        if (method, path) == ("POST", "/v1/files"):
            return answer({"id": self._store(seen), "object": "file"})
        if (method, path) == ("POST", "/v1/batches"):
            return answer(self._create(orjson.loads(seen.body)))
        if method == "GET" and path.startswith("/v1/batches/"):
            return answer(self._batch(path.rsplit("/", 1)[1]))
        if method == "GET" and path.startswith("/v1/files/"):
            return answer(self._output(path.split("/")[3]))
        return answer({"error": {"message": "no such route"}}, "404 Not Found")

    def _store(self, seen: Seen) -> str:
        found = re.fullmatch(r"multipart/form-data; boundary=(.+)", seen.headers["content-type"])
        assert found is not None
        parts = seen.body.split(b"--" + found[1].encode())
        assert parts[0] == b""
        assert parts[-1] == b"--\r\n"
        purpose, file = (part.split(b"\r\n\r\n", 1) for part in parts[1:-1])
        assert b'name="purpose"' in purpose[0]
        assert purpose[1] == b"batch\r\n"
        assert b'name="file"; filename="data.jsonl"' in file[0]
        assert b"application/json" in file[0]
        name = f"file-{len(self.files)}"
        self.files[name] = file[1].removesuffix(b"\r\n")
        return name

    def _create(self, body: Body) -> Body:
        assert body.keys() == {"input_file_id", "endpoint", "completion_window"}
        assert (body["endpoint"], body["completion_window"]) == ("/v1/chat/completions", "24h")
        name = f"batch_{len(self.batches)}"
        self.batches[name] = {"id": name, "object": "batch", **body}
        return {**self.batches[name], "status": "validating"}

    def _batch(self, name: str) -> Body:
        batch = {**self.batches[name], "status": self.status, **self.extra}
        if self.status == "completed":
            batch.setdefault("output_file_id", batch["input_file_id"])
        return batch

    def _output(self, name: str) -> bytes:
        lines = []
        for line in self.files[name].split(b"\n"):
            item = orjson.loads(line)
            body = self.reply(item["body"])
            if body is not None:
                response = {"status_code": 200, "body": body}
                lines.append(orjson.dumps({"custom_id": item["custom_id"], "response": response}))
        return b"\n".join([*reversed(lines), *self.more_lines, b""])
