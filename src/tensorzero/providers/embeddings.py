"""Embeddings of OpenAI, Azure, OpenRouter, and of every server that speaks as they do.

Source: the contract's page on the OpenAI-like family, section 10.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, ClassVar

import orjson

from tensorzero.config.credentials import DynamicCredential, NoCredential, StaticCredential
from tensorzero.config.model import EmbeddingProviderConfig
from tensorzero.providers.azure import azure_url
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.credentials import api_key
from tensorzero.providers.extra import edit_body, edit_headers
from tensorzero.providers.failures import UNREADABLE, Failures
from tensorzero.providers.http import join_api_base
from tensorzero.providers.openai import DEFAULT_API_BASE
from tensorzero.types import json_text
from tensorzero.types.embedding import EmbeddingRequest, EmbeddingResponse, Vector, read_vector
from tensorzero.types.errors import Serialization
from tensorzero.types.model import Attempt
from tensorzero.types.usage import RawUsage, Usage
from tzcore.client import ClientError, Target

OPENROUTER_URL = "https://openrouter.ai/api/v1/embeddings"


class OpenAIEmbeddings:
    """``type = "openai"``; the base of those that differ in URL, key header or fields."""

    type: str = "openai"
    display_name: ClassVar[str] = "OpenAI"

    def __init__(self, context: ProviderContext, config: EmbeddingProviderConfig) -> None:
        self.context = context
        self.config = config
        self.timeout_s = context.global_timeout_ms / 1000
        self.failures = Failures(self.type, "embeddings", context, lambda _: "")
        self._target: Target | None = None

    def url(self, attempt: Attempt) -> str:
        """Where to send; raises ``GatewayError`` for an endpoint of the request's that is none."""
        return join_api_base(self.config.options.get("api_base") or DEFAULT_API_BASE, "embeddings")

    def auth_headers(self, key: str) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {key}")]

    def body(self, request: EmbeddingRequest) -> dict[str, Any]:
        return {"model": self.config.options["model_name"], **_plain_body(request)}

    async def embed(self, request: EmbeddingRequest, attempt: Attempt) -> EmbeddingResponse:
        target = self.target(attempt)
        body = self.body(request)
        edit_body(body, self.config.extra_body)
        payload = orjson.dumps(body)
        raw_request = payload.decode()
        started = monotonic()
        try:
            response = await self.context.pool.request(target, payload, timeout_s=self.timeout_s)
        except ClientError as error:
            raise self.failures.unreachable(error, raw_request, target) from None
        elapsed = int((monotonic() - started) * 1000)
        if not 200 <= response.status < 300:
            raise self.failures.refusal(response, raw_request, target)
        try:
            parsed = json_text.loads(response.body)
            vectors = _read_vectors(parsed["data"])
            figures = parsed.get("usage")
            usage = Usage() if figures is None else Usage(_count(figures.get("prompt_tokens")), 0)
        except UNREADABLE as error:
            raise self.failures.unreadable(error, response, raw_request, target) from None
        raw_usage = None
        if figures is not None:
            raw_usage = RawUsage(attempt.model_inference_id, self.type, "embeddings", figures)
        return EmbeddingResponse(
            attempt.model_inference_id,
            vectors,
            raw_request,
            response.body.decode("utf-8", "replace"),
            usage,
            raw_usage,
            elapsed,
        )

    def target(self, attempt: Attempt) -> Target:
        """Where to send, with all headers; kept where nothing of it comes with requests."""
        if self._target is not None:
            return self._target
        key = api_key(self.config.credential, attempt.credentials, self.display_name)
        headers = [("content-type", "application/json"), ("accept", "*/*")]
        if key is not None:
            headers += self.auth_headers(key)
        try:
            url = self.context.redirected(self.url(attempt))
            target = self.context.pool.target(url, headers)
            if self.config.extra_headers:
                values, removed = edit_headers(*self.config.extra_headers)
                target = target.with_headers(list(values.items()), removed)
        except ValueError as error:
            raise Serialization(f"The request of {self.type} cannot be sent: {error}") from None
        fixed = isinstance(self.config.credential, StaticCredential | NoCredential)
        if fixed and not isinstance(self.config.options.get("endpoint"), DynamicCredential):
            self._target = target
        return target


class OpenRouterEmbeddings(OpenAIEmbeddings):
    """``type = "openrouter"``: takes no ``dimensions``."""

    type = "openrouter"
    display_name = "OpenRouter"

    def url(self, attempt: Attempt) -> str:
        return OPENROUTER_URL

    def body(self, request: EmbeddingRequest) -> dict[str, Any]:
        body = super().body(request)
        body.pop("dimensions", None)
        return body


class AzureEmbeddings(OpenAIEmbeddings):
    """``type = "azure"``: the deployment is in the URL, the endpoint may come with requests."""

    type = "azure"
    display_name = "Azure"

    def url(self, attempt: Attempt) -> str:
        return azure_url(self.config.options, attempt.credentials, "embeddings")

    def auth_headers(self, key: str) -> list[tuple[str, str]]:
        return [("api-key", key)]

    def body(self, request: EmbeddingRequest) -> dict[str, Any]:
        return _plain_body(request)


def _plain_body(request: EmbeddingRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"input": request.input}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    body["encoding_format"] = request.encoding_format
    return body


def _read_vectors(data: Any) -> list[Vector]:
    """In the answer's order, which is the inputs' (``index`` is not looked at)."""
    if not isinstance(data, list):
        raise ValueError("`data` is not a list")
    return [read_vector(entry["embedding"]) for entry in data]


def _count(value: Any) -> int | None:
    if value is not None and type(value) is not int:
        raise ValueError("`usage.prompt_tokens` is not a number")
    return value
