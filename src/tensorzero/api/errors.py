"""Errors in the native wire form."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from tensorzero.types.errors import GatewayError

log = logging.getLogger(__name__)


def error_body(
    error: GatewayError, *, error_json: bool, include_raw_response: bool = False
) -> bytes:
    """``{"error": text}``, with what was asked for beside it."""
    body: dict[str, Any] = {"error": str(error)}
    if error_json:
        body["error_json"] = error.to_json()
    if include_raw_response:
        raw = error.raw_responses()
        if raw:
            body["raw_response"] = [entry.to_json() for entry in raw]
    return orjson.dumps(body, default=str)


class NativeErrors:
    """How the gateway's own routes say that they failed."""

    def error(self, error: GatewayError, *, error_json: bool, include_raw_response: bool) -> bytes:
        return error_body(error, error_json=error_json, include_raw_response=include_raw_response)


def log_error(error: GatewayError) -> None:
    """Once, where it leaves us: a warning for what the caller did, else an error."""
    if error.status < 500:
        log.warning("%s: %s", error.kind, error.log_text())
    else:
        log.error("%s: %s", error.kind, error.log_text())
