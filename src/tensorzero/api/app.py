"""The routes that are not hot, and everything that our own protocol hands over."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from tensorzero.api.errors import error_body
from tensorzero.api.exchange import AsgiExchange
from tensorzero.api.inference import InferenceRoute
from tensorzero.gateway.files import ObjectStore
from tensorzero.gateway.input_parser import parse_storage_path
from tensorzero.types import json_text
from tensorzero.types.errors import GatewayError, InvalidRequest, ObjectStoreWrite, RouteNotFound

VERSION_HEADER = b"x-tensorzero-gateway-version"


class Health(Protocol):
    async def database_ok(self) -> bool:
        """Whether the database answers and rows find room."""


Endpoint = Callable[[Request], Awaitable[Response]]


def json_response(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


class App:
    """A small ASGI application: exact paths, one handler for each method."""

    def __init__(
        self,
        *,
        inference: InferenceRoute,
        health: Health,
        version: str,
        config_hash: str,
        base_path: str,
        store: ObjectStore | None,
    ) -> None:
        self.inference = inference
        self.health = health
        self.version = version
        self.config_hash = config_hash
        self.base_path = base_path
        self.store = store
        self.error_json = inference.error_json
        self.gets: dict[str, Endpoint] = {
            f"{base_path}/status": self._status,
            f"{base_path}/health": self._health,
            f"{base_path}/internal/object_storage": self._object_storage,
        }
        self.inference_path = f"{base_path}/inference"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        send = self._with_version(send)
        path, method = scope["path"], scope["method"]
        if path == self.inference_path:
            if method == "POST":
                await AsgiExchange(scope, receive, send).run(self.inference)
            else:
                await Response(status_code=405, headers={"allow": "POST"})(scope, receive, send)
            return
        endpoint = self.gets.get(path)
        if endpoint is None:
            error = RouteNotFound(method, path)
            body = error_body(error, error_json=self.error_json)
            response = Response(body, 404, media_type="application/json")
        elif method in ("GET", "HEAD"):
            response = await self._call(endpoint, Request(scope, receive))
        else:
            response = Response(status_code=405, headers={"allow": "GET,HEAD"})
        await response(scope, receive, send)

    async def _call(self, endpoint: Endpoint, request: Request) -> Response:
        try:
            return await endpoint(request)
        except GatewayError as error:
            body = error_body(error, error_json=self.error_json)
            return Response(body, error.status, media_type="application/json")

    def _with_version(self, send: Send) -> Send:
        value = self.version.encode()

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (VERSION_HEADER, value)]
            await send(message)

        return wrapped

    async def _status(self, request: Request) -> Response:
        return json_response(
            {"status": "ok", "version": self.version, "config_hash": self.config_hash}
        )

    async def _health(self, request: Request) -> Response:
        healthy = await self.health.database_ok()
        body = {
            "gateway": "ok",
            "clickhouse": "ok" if healthy else "error",
            "postgres": "ok",
            "valkey": "ok",
            "valkey_cache": "ok",
        }
        return json_response(body, 200 if healthy else 503)

    async def _object_storage(self, request: Request) -> Response:
        given = request.query_params.get("storage_path")
        if given is None:
            raise InvalidRequest("the query parameter `storage_path` is missing")
        try:
            path = parse_storage_path(json_text.loads(given), "storage_path")
        except ValueError as error:
            raise InvalidRequest(f"`storage_path` is not JSON: {error}") from None
        if self.store is None or path.kind != dict(self.store.kind):
            raise InvalidRequest("the object store of this path is not the configured one")
        try:
            data = await self.store.get(path.path)
        except (KeyError, OSError):
            raise ObjectStoreWrite(f"object `{path.path}` is not in the store") from None
        return json_response({"data": base64.b64encode(data).decode(), "reused_object_store": True})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
