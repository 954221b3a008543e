"""Embeddings of the types that have a fixed address: what is sent, and errors.

Through the gateway, with OpenAI's and Azure's: ``tests/openai/test_openai_embeddings.py``.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from providers.calls import MODEL_INFERENCE_ID
from tensorzero.config.credentials import Credential, DynamicCredential, StaticCredential
from tensorzero.config.model import EmbeddingProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.registry import EMBEDDING_PROVIDERS
from tensorzero.types.embedding import EmbeddingRequest, EmbeddingResponse
from tensorzero.types.errors import GatewayError
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.model import Attempt
from tensorzero.types.usage import RawUsage, Usage
from tzcore.client import Pool
from upstream.scripted import Script, ScriptedServer, Seen, answer

VECTORS = {
    "data": [
        {"object": "embedding", "index": 1, "embedding": [0.5, 0.25]},
        {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]},
    ],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
KEY = StaticCredential("key-of-a-test")
AZURE = {"endpoint": "https://r.openai.azure.com/", "deployment_id": "d"}
OPTIONS: dict[str, dict[str, Any]] = {
    "openai": {"model_name": "e"},
    "openrouter": {"model_name": "e"},
    "azure": AZURE,
}
LINES = {
    "openai": "POST /v1/embeddings HTTP/1.1",
    "openrouter": "POST /api/v1/embeddings HTTP/1.1",
    "azure": "POST /openai/deployments/d/embeddings?api-version=2025-04-01-preview HTTP/1.1",
}
BODIES = {
    "openai": '{"model":"e","input":["a","b"],"dimensions":3,"encoding_format":"float"}',
    "openrouter": '{"model":"e","input":["a","b"],"encoding_format":"float"}',
    "azure": '{"input":["a","b"],"dimensions":3,"encoding_format":"float"}',
}
HOSTS = ("api.openai.com", "openrouter.ai", "r.openai.azure.com")
of_each_type = pytest.mark.parametrize("name", list(BODIES))


def embed(
    name: str, script: Script, credential: Credential = KEY, **config: Any
) -> tuple[EmbeddingResponse, Seen]:
    async def run() -> tuple[EmbeddingResponse, Seen]:
        async with ScriptedServer.saying(script) as server:
            pool = Pool(user_agent=b"Test/1", trust_env=False)
            hosts = dict.fromkeys(HOSTS, server.url.removesuffix("/v1"))
            made = EMBEDDING_PROVIDERS[name](
                ProviderContext(pool, 20_000, hosts=hosts),
                EmbeddingProviderConfig("p", name, OPTIONS[name], credential, **config),
            )
            given = EmbeddingRequest(["a", "b"], 3, "float")
            try:
                response = await made.embed(given, Attempt("m", "p", MODEL_INFERENCE_ID, {}))
            finally:
                await pool.aclose()
            return response, server.seen[0]

    return asyncio.run(asyncio.wait_for(run(), 60))


@of_each_type
def test_what_is_sent_and_read(name: str) -> None:
    response, seen = embed(name, answer(VECTORS))
    assert (seen.line, seen.body.decode()) == (LINES[name], BODIES[name])
    shown = seen.headers["api-key" if name == "azure" else "authorization"]
    assert shown.removeprefix("Bearer ") == "key-of-a-test"
    assert response.raw_request == BODIES[name]
    assert [list(struct.unpack("2f", vector)) for vector in response.vectors] == [
        [0.5, 0.25],
        [1.0, 2.0],
    ]
    assert response.usage == Usage(7, 0)
    assert response.raw_usage == RawUsage(MODEL_INFERENCE_ID, name, "embeddings", VECTORS["usage"])


@of_each_type
def test_edits_of_the_provider(name: str) -> None:
    response, seen = embed(
        name,
        answer(VECTORS),
        extra_body=(ExtraBody("/user", "u"), ExtraBody("/encoding_format", delete=True)),
        extra_headers=(ExtraHeader("x-own", "1"),),
    )
    assert b'"user":"u"' in seen.body and b"encoding_format" not in seen.body
    assert seen.headers["x-own"] == "1"
    assert response.raw_request == seen.body.decode()


@of_each_type
def test_refusals(name: str) -> None:
    for status, wanted in (
        ("401 Unauthorized", f"Error 401 Unauthorized from {name} client: [redacted]"),
        ("500 Internal Server Error", f"Error from {name} server: [redacted]"),
    ):
        with pytest.raises(GatewayError) as caught:
            embed(name, answer(b"key-of-a-test", status, "x-request-id: req_1"))
        assert str(caught.value) == wanted
    with pytest.raises(GatewayError, match="Dynamic api key `k` is missing"):
        embed(name, answer(VECTORS), DynamicCredential("k"))
