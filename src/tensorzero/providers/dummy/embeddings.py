"""``type = "dummy"`` for embedding models: vectors made from a hash of the input."""

from __future__ import annotations

import asyncio
import math
import random
from array import array
from hashlib import sha256
from time import monotonic
from typing import Any

import orjson

from tensorzero.config.model import EmbeddingProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.credentials import api_key
from tensorzero.providers.extra import edit_body
from tensorzero.providers.failures import CLIENT_FAULTS, Failures
from tensorzero.types.dummy import parse_dummy_embedding
from tensorzero.types.embedding import EmbeddingRequest, EmbeddingResponse, Vector, vector_base64
from tensorzero.types.model import Attempt
from tensorzero.types.usage import RawUsage, Usage
from tzcore.vectors import vector_json

DEFAULT_DIMENSIONS = 1536
MAX_NUMBERS = 1_000_000
"""Of all vectors of a call: ``dimensions`` comes with requests."""


class DummyEmbeddings:
    """The same input, the same unit vector; different inputs are close to orthogonal."""

    type = "dummy"

    def __init__(self, context: ProviderContext, config: EmbeddingProviderConfig) -> None:
        self.config = config
        self.model_name: str = config.options["model_name"]
        self.model = parse_dummy_embedding(self.model_name)
        self.failures = Failures(self.type, "embeddings", context, lambda _: "")
        self.calls = 0

    async def embed(self, request: EmbeddingRequest, attempt: Attempt) -> EmbeddingResponse:
        self.calls += 1
        api_key(self.config.credential, attempt.credentials, "Dummy")
        body: dict[str, Any] = {"model": self.model_name, "input": request.input}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        body["encoding_format"] = request.encoding_format
        edit_body(body, self.config.extra_body)
        raw_request = orjson.dumps(body).decode()
        started = monotonic()
        await self._wait_and_fail(raw_request)
        inputs = _inputs(request)
        wanted = request.dimensions
        size = self.model.integer("dims", DEFAULT_DIMENSIONS) if wanted is None else wanted
        if size < 1 or size * max(len(inputs), 1) > MAX_NUMBERS:
            message = f"`dimensions` must be from 1 to {MAX_NUMBERS}, divided by the inputs"
            raise self.failures.client(message, raw_request, message, 400)
        vectors = [unit_vector(given, size) for given in inputs]
        usage = self._usage(inputs)
        figures = None
        if usage.input_tokens is not None:
            figures = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
        return EmbeddingResponse(
            attempt.model_inference_id,
            vectors,
            raw_request,
            self._raw_response(request, vectors, figures),
            usage,
            None
            if figures is None
            else RawUsage(attempt.model_inference_id, self.type, "embeddings", figures),
            int((monotonic() - started) * 1000),
        )

    async def _wait_and_fail(self, raw_request: str) -> None:
        model = self.model
        chance = random.Random(f"{model.integers.get('rand_seed', raw_request)}/{self.calls}")
        delay = model.integer("latency_ms", 0) + chance.randint(0, model.integer("jitter_ms", 0))
        if delay:
            await asyncio.sleep(delay / 1000)
        every = model.integers.get("fail_every")
        if not (
            model.behaviour == "error"
            or self.calls <= model.integer("fail_first", 0)
            or (every is not None and self.calls % every == 0)
            or chance.random() < model.error_rate
        ):
            return
        status = model.integer("status", 500)
        message = model.options.get("message", "the dummy provider was told to fail")
        if status in CLIENT_FAULTS:
            raise self.failures.client(message, raw_request, message, status)
        raise self.failures.server(message, raw_request, message)

    def _usage(self, inputs: list[str | list[int]]) -> Usage:
        """Tokens: words between blanks, token numbers as they are."""
        if self.model.options.get("usage") == "none":
            return Usage()
        words = sum(
            len(given.split()) if isinstance(given, str) else len(given) for given in inputs
        )
        return Usage(self.model.integers.get("input_tokens", words), 0)

    def _raw_response(
        self, request: EmbeddingRequest, vectors: list[Vector], figures: dict[str, int] | None
    ) -> str:
        data: list[dict[str, Any]] = []
        for at, vector in enumerate(vectors):
            shown: Any = orjson.Fragment(vector_json(vector))
            if request.encoding_format == "base64":
                shown = vector_base64(vector)
            data.append({"object": "embedding", "index": at, "embedding": shown})
        body: dict[str, Any] = {"object": "list", "data": data, "model": self.model_name}
        if figures is not None:
            body["usage"] = figures
        return orjson.dumps(body).decode()


def _inputs(request: EmbeddingRequest) -> list[str | list[int]]:
    given = request.input
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [given]
    return list(given)  # type: ignore[arg-type]  # texts, or texts as token numbers


def unit_vector(given: str | list[int], size: int) -> Vector:
    """A vector of length 1 that depends on ``given`` alone."""
    chance = random.Random(sha256(orjson.dumps(given)).digest())
    numbers = [chance.gauss(0.0, 1.0) for _ in range(size)]
    length = math.sqrt(sum(number * number for number in numbers))
    return array("f", [number / length for number in numbers]).tobytes()
