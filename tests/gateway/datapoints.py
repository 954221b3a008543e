"""Calls of the dataset routes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx

from gateway.api import Api
from tensorzero.storage.database.connection_file import read_connection

HELLO = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}
UNKNOWN = "0190f000-0000-7000-8000-000000000001"


def chat(**fields: Any) -> dict[str, Any]:
    """A datapoint of a chat function, as it is sent."""
    return {"type": "chat", "function_name": "chat", "input": HELLO, **fields}


def extract(**fields: Any) -> dict[str, Any]:
    """One of a json function, whose schema wants a ``name``."""
    return {"type": "json", "function_name": "extract", "input": HELLO, **fields}


def ask(api: Api, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
    return api.client.request(method, f"{api.url}{path}", json=body, **options)


def answered(api: Api, method: str, path: str, body: Any = None) -> Any:
    answer = ask(api, method, path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(api: Api, method: str, path: str, body: Any, status: int = 400) -> str:
    """The error's text."""
    answer = ask(api, method, path, body)
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


class Dataset:
    """One dataset, by the routes that name it."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name
        self.path = f"/v1/datasets/{quote(name, safe='')}"

    def create(self, *datapoints: Any) -> list[str]:
        body = {"datapoints": list(datapoints)}
        return list(answered(self.api, "POST", f"{self.path}/datapoints", body)["ids"])

    def not_created(self, *datapoints: Any, status: int = 400) -> str:
        body = {"datapoints": list(datapoints)}
        return refused(self.api, "POST", f"{self.path}/datapoints", body, status)

    def update(self, *updates: Any) -> list[str]:
        body = {"datapoints": list(updates)}
        return list(answered(self.api, "PATCH", f"{self.path}/datapoints", body)["ids"])

    def not_updated(self, *updates: Any, status: int = 400) -> str:
        body = {"datapoints": list(updates)}
        return refused(self.api, "PATCH", f"{self.path}/datapoints", body, status)

    def rename(self, *updates: Any) -> list[str]:
        body = {"datapoints": list(updates)}
        return list(answered(self.api, "PATCH", f"{self.path}/datapoints/metadata", body)["ids"])

    def get(self, *ids: str) -> list[Any]:
        body = {"ids": list(ids)}
        return list(answered(self.api, "POST", f"{self.path}/get_datapoints", body)["datapoints"])

    def one(self, id_: str) -> Any:
        found = self.get(id_)
        assert [datapoint["id"] for datapoint in found] == [id_]
        return found[0]

    def list(self, **fields: Any) -> Any:
        return answered(self.api, "POST", f"{self.path}/list_datapoints", fields)["datapoints"]

    def ids(self, **fields: Any) -> Any:
        return [datapoint["id"] for datapoint in self.list(**fields)]

    def delete(self, *ids: str) -> int:
        body = {"ids": list(ids)}
        answer = answered(self.api, "DELETE", f"{self.path}/datapoints", body)
        return int(answer["num_deleted_datapoints"])

    def drop(self) -> int:
        return int(answered(self.api, "DELETE", self.path)["num_deleted_datapoints"])

    def count(self, query: str = "") -> int:
        path = f"/internal/datasets/{quote(self.name, safe='')}/datapoints/count{query}"
        return int(answered(self.api, "GET", path)["datapoint_count"])

    def clone(self, *ids: str) -> Any:
        path = f"/internal/datasets/{quote(self.name, safe='')}/datapoints/clone"
        return answered(self.api, "POST", path, {"datapoint_ids": list(ids)})["datapoint_ids"]

    def rows(self, table: str = "Chat") -> Any:
        """The versions that count, live and stale."""
        return self.api.sql(
            f"SELECT * FROM {table}InferenceDatapoint FINAL WHERE dataset_name = {{name:String}} "
            "ORDER BY toUInt128(id)",
            name=self.name,
        )


def datasets(api: Api, query: str = "") -> dict[str, Any]:
    """What ``GET /internal/datasets`` lists, by name."""
    listed = answered(api, "GET", f"/internal/datasets{query}")["datasets"]
    return {dataset.pop("dataset_name"): dataset for dataset in listed}


def insert(api: Api, table: str, row: dict[str, Any]) -> None:
    """Write a row as another gateway on the same database would."""
    database = read_connection(api.data_dir)
    assert database is not None
    answer = api.client.post(
        f"http://{database.host}:{database.port}/",
        params={"query": f"INSERT INTO {table} FORMAT JSONEachRow"},
        content=json.dumps(row),
        auth=(database.username, database.password or ""),
    )
    assert answer.status_code == 200, answer.text
