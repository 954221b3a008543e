"""The routes that are not hot, and everything that our own protocol hands over."""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tensorzero.api.errors import error_body, log_error
from tensorzero.api.exchange import AsgiExchange, Exchange
from tensorzero.api.metrics import MetricsRoute
from tensorzero.api.openai.models import ModelsRoute
from tensorzero.api.paths import PathTable
from tensorzero.api.request_span import RequestSpan, current_span
from tensorzero.api.use_case import UseCaseRoute
from tensorzero.gateway.files import ObjectStore
from tensorzero.gateway.input_parser import parse_storage_path
from tensorzero.types import json_text
from tensorzero.types.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    ObjectStoreWrite,
    RouteNotFound,
)

log = logging.getLogger(__name__)


class Health(Protocol):
    async def database_ok(self) -> bool:
        """Whether the database answers and rows find room."""


DISCARDED_BYTES = 4_194_304
"""Of a body that nobody wants; a longer one is answered before its end."""

Endpoint = Callable[[Request], Awaitable[Response]]
HotRoute = Callable[[Exchange], None]
"""A route that our own protocol serves without ASGI between."""


def json_response(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


class App:
    """A small ASGI application: one handler for each method of a path."""

    def __init__(
        self,
        *,
        posts: Mapping[str, HotRoute],
        paths: Mapping[tuple[str, str], UseCaseRoute],
        health: Health,
        version: str,
        config_hash: str,
        base_path: str,
        store: ObjectStore | None,
        metrics: MetricsRoute,
        models: ModelsRoute,
        error_json: bool,
    ) -> None:
        """``posts``: by path, without the base path; ``paths``: by method and template."""
        self.health = health
        self.version = version
        self.config_hash = config_hash
        self.base_path = base_path
        self.store = store
        self.error_json = error_json
        self.gets: dict[str, Endpoint] = {
            f"{base_path}/status": self._status,
            f"{base_path}/health": self._health,
            f"{base_path}/metrics": metrics,
            f"{base_path}/internal/object_storage": self._object_storage,
            f"{base_path}/openai/v1/models": models,
        }
        self.posts = {base_path + path: route for path, route in posts.items()}
        self.paths = PathTable(paths, base_path)
        self.models = models
        self.model_prefix = f"{base_path}/openai/v1/models/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        post = self.posts.get(path)
        found: HotRoute | None = post
        if post is None or method != "POST":
            found = self.paths.find(method, scope["raw_path"])
        if found is not None:
            await AsgiExchange(scope, receive, send).run(found)
            return
        current_span.set(RequestSpan(method.encode(), scope["raw_path"]))
        await _discard_body(receive)
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path, method = scope["path"], scope["method"]
        if path in self.posts:
            return Response(status_code=405, headers={"allow": "POST"})
        allowed = self.paths.methods(scope["raw_path"])
        if allowed:
            return Response(status_code=405, headers={"allow": ",".join(allowed)})
        endpoint = self.gets.get(path)
        if endpoint is None and path.startswith(self.model_prefix) and path != self.model_prefix:
            endpoint = self.models.one
        if endpoint is not None and method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"allow": "GET,HEAD"})
        error: GatewayError
        try:
            if endpoint is not None:
                return await endpoint(Request(scope, receive))
            error = RouteNotFound(method, scope["raw_path"].decode("latin-1"))
        except GatewayError as raised:
            error = raised
        except Exception:  # a fault of ours: logged, answered without detail
            log.exception("a request failed unexpectedly")
            error = InternalError("an unexpected error; see the log")
        log_error(error)
        body = error_body(error, error_json=self.error_json)
        return Response(body, error.status, media_type="application/json")

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


async def _discard_body(receive: Receive) -> None:
    """Read what no route here wants: a connection that is closed with unread bytes is reset, and
    its client may lose the answer."""
    size = 0
    while size < DISCARDED_BYTES:
        message = await receive()
        if not message.get("more_body"):
            return
        size += len(message["body"])


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
