"""``POST /openai/v1/embeddings`` (the contract's page, 11)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

import orjson

from tensorzero.api.openai.errors import OpenAIErrors
from tensorzero.api.openai.request import EMBEDDING_PREFIX
from tensorzero.api.use_case import Call, UseCaseRoute
from tensorzero.gateway.embed import EmbeddingsRequest, embed
from tensorzero.gateway.fields import boolean, choice, fault, integer, string, wrong
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.request import (
    check_cache_options,
    parse_credentials,
)
from tensorzero.gateway.running import Running
from tensorzero.gateway.services import Services
from tensorzero.types.embedding import (
    EmbeddingInput,
    EmbeddingRequest,
    EmbeddingResult,
    EncodingFormat,
    vector_base64,
)
from tensorzero.types.usage import RawResponse
from tzcore.vectors import vector_json

log = logging.getLogger(__name__)

MANY_BYTES = 1 << 18
"""Vectors of so many bytes together are written in a thread: it takes tens of milliseconds."""

_U32 = 2**32


def embeddings_route(services: Services, tasks: set[Running]) -> UseCaseRoute:
    """The handler."""

    async def answered(call: Call) -> bytes:
        asked = parse_embeddings(call.body)
        call.include_raw_response = asked.include_raw_response
        return await _answer(asked, await embed(asked, services))

    error_json = services.config.gateway.unstable_error_json
    return UseCaseRoute(answered, tasks, error_json=error_json, errors=OpenAIErrors())


def parse_embeddings(body: bytes) -> EmbeddingsRequest:
    """A typed request; raises ``JsonRequest``. Fields that are not known are ignored."""
    data = json_object(body)
    values: dict[str, Any] = {}
    for key, parse in _FIELDS.items():
        value = data.get(key)
        if value is not None or (key in _REQUIRED and key in data):
            values[key] = parse(value, key)
    for key in _REQUIRED:
        if key not in values:
            raise fault("", f"missing field `{key}`")
    name = values["model"]
    if name.startswith(EMBEDDING_PREFIX):
        name = name[len(EMBEDDING_PREFIX) :]
    else:
        log.warning("an embedding model without `%s` in front is deprecated", EMBEDDING_PREFIX)
    request = EmbeddingRequest(
        values["input"], values.get("dimensions"), values.get("encoding_format", "float")
    )
    return EmbeddingsRequest(
        name,
        request,
        values.get("tensorzero::credentials", {}),
        values.get("tensorzero::dryrun", False),
        values.get("tensorzero::include_raw_response", False),
    )


def _input(value: Any, path: str) -> EmbeddingInput:
    if type(value) is str:
        return value
    if type(value) is list:
        kinds = {type(entry) for entry in value}
        if kinds <= {str}:
            return cast(list[str], value)
        if kinds == {int} and _are_tokens(value):
            return cast(list[int], value)
        if kinds == {list} and all(_are_tokens(entry) for entry in value):
            return cast(list[list[int]], value)
    raise wrong(value, path, "a string, strings, token numbers or lists of token numbers")


def _are_tokens(values: list[Any]) -> bool:
    return all(type(value) is int and 0 <= value < _U32 for value in values)


def _encoding_format(value: Any, path: str) -> EncodingFormat:
    return cast(EncodingFormat, choice(value, path, ("float", "base64")))


_REQUIRED = ("model", "input")
_FIELDS: dict[str, Callable[[Any, str], Any]] = {
    "model": string,
    "input": _input,
    "dimensions": integer(0, _U32 - 1),
    "encoding_format": _encoding_format,
    "tensorzero::cache_options": check_cache_options,
    "tensorzero::credentials": parse_credentials,
    "tensorzero::dryrun": boolean,
    "tensorzero::include_raw_response": boolean,
}


async def _answer(asked: EmbeddingsRequest, result: EmbeddingResult) -> bytes:
    vectors = result.response.vectors
    floats = asked.request.encoding_format == "float"
    if floats and sum(map(len, vectors)) > MANY_BYTES:
        shown = await asyncio.to_thread(lambda: [vector_json(vector) for vector in vectors])
    elif floats:
        shown = [vector_json(vector) for vector in vectors]
    else:
        shown = [orjson.dumps(vector_base64(vector)) for vector in vectors]
    usage = result.response.usage
    tokens = usage.input_tokens
    body: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "embedding": orjson.Fragment(text), "index": at}
            for at, text in enumerate(shown)
        ],
        "model": EMBEDDING_PREFIX + result.model_name,
        "usage": {
            "prompt_tokens": tokens,
            "total_tokens": tokens,
            "tensorzero_cost": None if usage.cost is None else float(usage.cost),
        },
    }
    if asked.include_raw_response:
        response = result.response
        own = RawResponse(result.provider_type, "embeddings", response.raw_response, response.id)
        body["tensorzero::raw_response"] = [entry.to_json() for entry in (*result.failed_raw, own)]
    return orjson.dumps(body)
