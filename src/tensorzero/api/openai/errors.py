"""Errors in OpenAI's form (the contract's page, 9)."""

from __future__ import annotations

from typing import Any

import orjson

from tensorzero.types.errors import GatewayError


def error_fields(error: GatewayError, *, error_json: bool) -> dict[str, Any]:
    """The value of ``error``. ``error_json``: with its kind and fields."""
    fields: dict[str, Any] = {"message": str(error)}
    if error_json:
        fields["error_json"] = fields["tensorzero_error_json"] = error.to_json()
    return fields


class OpenAIErrors:
    """``{"error": {"message": text}}``, with what was asked for beside it."""

    def error(self, error: GatewayError, *, error_json: bool, include_raw_response: bool) -> bytes:
        body: dict[str, Any] = {"error": error_fields(error, error_json=error_json)}
        if include_raw_response:
            raw = error.raw_responses()
            if raw:
                body["tensorzero_raw_response"] = [entry.to_json() for entry in raw]
        return orjson.dumps(body, default=str)
