"""A gateway with rows that the tests write themselves, at times of their choosing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson

from gateway.running import Gateway
from tensorzero.storage.database.connection_file import read_connection

CHAT = (
    "pages",
    "metrics",
    "episodes",
    "tags",
    "times",
    "search",
    "demos",
    "shapes",
    "odd",
    "old",
    "draft_email",
)
JSON = ("pages_json", "demos_json", "old_json")

ODD = """it"s \\ odd {p0:String} --"""
"""The name of a function; TOML's literal strings have no apostrophe."""

CONFIG = (
    """
[object_storage]
type = "filesystem"
path = "%(files)s"

[metrics.score]
type = "float"
level = "inference"
optimize = "max"
[metrics.good]
type = "boolean"
level = "inference"
optimize = "max"
[metrics.email_sent]
type = "boolean"
level = "inference"
optimize = "max"
[metrics.mood]
type = "float"
level = "episode"
optimize = "max"
[metrics.happy]
type = "boolean"
level = "episode"
optimize = "max"

[functions.'%(odd)s']
type = "chat"
[functions.'%(odd)s'.variants.v]
type = "chat_completion"
model = "dummy::text"

[tools.weather]
description = "Weather"
parameters = "tool.json"

[functions.tooled]
type = "chat"
tools = ["weather"]
[functions.tooled.variants.v]
type = "chat_completion"
model = "dummy::text"
[functions.extract]
type = "json"
output_schema = "schema.json"
[functions.extract.variants.v]
type = "chat_completion"
model = "dummy::json"
json_mode = "on"
"""
    + "".join(
        f'[functions.{name}]\ntype = "chat"\n[functions.{name}.variants.v]\n'
        'type = "chat_completion"\nmodel = "dummy::text"\n'
        for name in CHAT
    )
    + "".join(
        f'[functions.{name}]\ntype = "json"\n[functions.{name}.variants.v]\n'
        'type = "chat_completion"\nmodel = "dummy::json"\njson_mode = "on"\n'
        for name in JSON
    )
)
FILES = {
    "tool.json": '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}',
    "schema.json": '{"type":"object","properties":{"name":{"type":"string"}}}',
}


def write_config(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "files").mkdir()
    path = folder / "tensorzero.toml"
    path.write_text(CONFIG % {"files": folder / "files", "odd": ODD})
    return path


_made = 0


def id_at(second: str, millisecond: int = 0) -> str:
    """A fresh UUIDv7 of this time (``2026-01-31T12:00:00``, UTC); of one millisecond, a later
    one is greater."""
    global _made
    _made += 1
    at = datetime.fromisoformat(second).replace(tzinfo=UTC).timestamp()
    # The low half decreases: the engine's own order of UUIDs would turn them round.
    low = (1 << 62) - 1 - _made * 997
    return str(
        UUID(
            int=(int(at) * 1000 + millisecond) << 80 | 7 << 76 | _made % 4096 << 64 | 2 << 62 | low
        )
    )


def text_input(text: str) -> str:
    message = {"role": "user", "content": [{"type": "text", "text": text}]}
    return orjson.dumps({"messages": [message]}).decode()


def text_output(text: str) -> str:
    return orjson.dumps([{"type": "text", "text": text}]).decode()


def row(function: str, inference_id: str, **columns: Any) -> dict[str, Any]:
    """A row of ``ChatInference``."""
    return {
        "id": inference_id,
        "function_name": function,
        "variant_name": "v",
        "episode_id": id_at("2026-01-01T00:00:00"),
        "input": text_input("in"),
        "output": text_output("out"),
        "inference_params": '{"chat_completion":{}}',
        "tags": {},
        "extra_body": "[]",
        **columns,
    }


class Recorded:
    """The running gateway: what is in its database, and what its routes say of it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.url = gateway.url
        self.client = httpx.Client(timeout=60.0)

    @property
    def log(self) -> str:
        return self.gateway.log()

    def sql(self, statement: str, **parameters: str) -> str:
        database = read_connection(self.gateway.data_dir)
        assert database is not None
        answer = self.client.post(
            f"http://{database.host}:{database.port}/",
            content=statement,
            params={f"param_{name}": value for name, value in parameters.items()},
            auth=(database.username, database.password or ""),
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        lines = "\n".join(orjson.dumps(row).decode() for row in rows)
        self.sql(f"INSERT INTO {table} FORMAT JSONEachRow\n{lines}")

    def chat(self, function: str, *ids: str, **columns: Any) -> list[str]:
        """Rows of ``ChatInference``; returns the ids, newest first."""
        self._record("ChatInference", function, ids, {}, columns)
        return newest_first(ids)

    def json(self, function: str, *ids: str, **columns: Any) -> list[str]:
        """Rows of ``JsonInference``; returns the ids, newest first."""
        own = {
            "output": '{"raw":"{}","parsed":{}}',
            "output_schema": '{"type":"object"}',
            "auxiliary_content": "[]",
        }
        self._record("JsonInference", function, ids, own, columns)
        return newest_first(ids)

    def _record(
        self,
        table: str,
        function: str,
        ids: Sequence[str],
        own: dict[str, Any],
        columns: dict[str, Any],
    ) -> None:
        self.insert(table, *(row(function, one, **own, **columns) for one in ids))

    def feedback(
        self, metric: str, target: str, value: bool | float, at: str | None = None
    ) -> None:
        """A row of the metric's table; ``at`` the time of its id."""
        table = "Boolean" if isinstance(value, bool) else "Float"
        self.insert(
            f"{table}MetricFeedback",
            {
                "id": at or id_at("2026-02-01T00:00:00"),
                "target_id": target,
                "metric_name": metric,
                "value": value,
            },
        )

    def demonstrate(self, inference_id: str, value: str) -> None:
        self.insert(
            "DemonstrationFeedback",
            {"id": id_at("2026-02-01T00:00:00"), "inference_id": inference_id, "value": value},
        )

    def infer(self, **fields: Any) -> str:
        """A real inference; returns its id when its row is there."""
        given = {"messages": [{"role": "user", "content": "hi"}]}
        answer = self.client.post(f"{self.url}/inference", json={"input": given, **fields})
        assert answer.status_code == 200, answer.text
        inference_id = str(answer.json()["inference_id"])
        ends = time.monotonic() + 60
        while not self.get(inference_id):
            assert time.monotonic() < ends, f"no row of {inference_id}"
            time.sleep(0.05)
        return inference_id

    def post(self, route: str, body: Any) -> httpx.Response:
        """``route`` is ``list_inferences`` or ``get_inferences``."""
        return self.client.post(f"{self.url}/v1/inferences/{route}", json=body)

    def list(self, **fields: Any) -> list[dict[str, Any]]:
        return self._inferences(self.post("list_inferences", fields))

    def get(self, *ids: str, **fields: Any) -> list[dict[str, Any]]:
        return self._inferences(self.post("get_inferences", {"ids": ids, **fields}))

    def ids(self, **fields: Any) -> list[str]:
        """The ids of a list."""
        return [inference["inference_id"] for inference in self.list(**fields)]

    def refused(
        self, status: int, text: str, route: str = "list_inferences", **fields: Any
    ) -> None:
        answer = self.post(route, fields)
        assert answer.status_code == status, answer.text
        assert answer.json() == {"error": text}

    @staticmethod
    def _inferences(answer: httpx.Response) -> list[dict[str, Any]]:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert list(body) == ["inferences"]
        found: list[dict[str, Any]] = body["inferences"]
        return found


def newest_first(ids: Sequence[str]) -> list[str]:
    return sorted(ids, key=lambda text: UUID(text).int, reverse=True)
