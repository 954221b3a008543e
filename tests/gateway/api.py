"""Requests, answers and rows of a running gateway, in the words of the tests."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx

from gateway.provider import Provider
from gateway.running import Gateway
from gateway.scripted import Upstream
from tensorzero.storage.database.connection_file import read_connection

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


def user(*content: Any) -> dict[str, Any]:
    """An input of one user message with these blocks."""
    return {"messages": [{"role": "user", "content": list(content)}]}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


class Api:
    """A gateway, the provider behind it, and its database."""

    def __init__(self, gateway: Gateway, provider: Provider, prefix: str = "") -> None:
        self.gateway = gateway
        self.provider = provider
        self.url = gateway.url + prefix
        self.client = httpx.Client(timeout=30.0)
        self.upstream: Upstream | None = None

    @property
    def data_dir(self) -> Path:
        return self.gateway.data_dir

    @property
    def log(self) -> str:
        return (self.data_dir.parent / "gateway.log").read_text()

    def post(self, **fields: Any) -> httpx.Response:
        """``input`` is a plain hello unless given."""
        return self.client.post(f"{self.url}/inference", json={"input": HELLO, **fields})

    def send(self, body: Any) -> httpx.Response:
        return self.client.post(f"{self.url}/inference", json=body)

    def ok(self, **fields: Any) -> Any:
        answer = self.post(**fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, status: int, *texts: str, **fields: Any) -> Any:
        """The error body; every text must be in its message."""
        answer = self.post(**fields)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-tensorzero-gateway-version"]
        body = answer.json()
        for wanted in texts:
            assert wanted in body["error"], body["error"]
        return body

    def stream(self, **fields: Any) -> list[Any]:
        """Every frame before ``[DONE]``."""
        answer = self.post(stream=True, **fields)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.text.endswith("\n\n")
        parts = answer.text[:-2].split("\n\n")
        assert all(part.startswith("data: ") and "\n" not in part for part in parts)
        assert parts[-1] == "data: [DONE]"
        return [json.loads(part[6:]) for part in parts[:-1]]

    def sql(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query, through the database's own interface."""
        database = read_connection(self.data_dir)
        assert database is not None
        answer = self.client.post(
            f"http://{database.host}:{database.port}/",
            params={
                "query": f"{query} FORMAT JSONEachRow",
                **{f"param_{name}": value for name, value in parameters.items()},
            },
            auth=(database.username, database.password or ""),
        )
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def row(self, inference_id: str, table: str = "ChatInference") -> dict[str, Any]:
        """The row of an inference, waited for; JSON columns parsed."""
        ends = time.monotonic() + 30
        while True:
            rows = self.sql(f"SELECT * FROM {table} WHERE id = {{id:UUID}}", id=inference_id)
            if rows:
                break
            assert time.monotonic() < ends, f"no row of {inference_id} in {table}"
            time.sleep(0.05)
        assert len(rows) == 1
        for name in ("input", "output", "inference_params", "extra_body", "auxiliary_content"):
            if name in rows[0]:
                rows[0][name] = json.loads(rows[0][name])
        return rows[0]

    def json_row(self, inference_id: str) -> dict[str, Any]:
        return self.row(inference_id, "JsonInference")

    def model_rows(self, inference_id: str, count: int = 1) -> list[dict[str, Any]]:
        """The model rows of an inference, waited for: exactly ``count`` of them."""
        ends = time.monotonic() + 30
        while True:
            rows = self.sql(
                "SELECT * FROM ModelInference WHERE inference_id = {id:UUID} ORDER BY id",
                id=inference_id,
            )
            if len(rows) >= count:
                break
            assert time.monotonic() < ends, f"no model rows of {inference_id}"
            time.sleep(0.05)
        assert len(rows) == count
        for row in rows:
            row["input_messages"] = json.loads(row["input_messages"])
            row["output"] = json.loads(row["output"])
        return rows

    def model_row(self, inference_id: str) -> dict[str, Any]:
        return self.model_rows(inference_id)[0]

    def has_row(self, inference_id: str, table: str = "ChatInference") -> bool:
        """Whether it is there once everything answered so far has been written."""
        marker = self.ok(model_name="dummy::text")["inference_id"]
        self.row(marker)
        found = self.sql(
            f"SELECT count() AS n FROM {table} WHERE id = {{id:UUID}}", id=inference_id
        )
        return int(found[0]["n"]) > 0
