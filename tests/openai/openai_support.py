"""A gateway as OpenAI's clients see it. Every answer and chunk that passes through here is held
against the published schema: the response models of the ``openai`` package, strictly.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAI
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.api import Api
from gateway.provider import Provider
from gateway.running import Gateway

FUNCTION = "tensorzero::function_name::"
MODEL = "tensorzero::model_name::"
EMBEDDING = "tensorzero::embedding_model_name::"
HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]


def check_completion(body: Any) -> None:
    """Beyond the models' own rules: the keys that OpenAI's schema requires and they do not.

    The contract leaves unknown token counts out, where the schema requires them.
    """
    if "total_tokens" not in body["usage"]:
        body = {**body, "usage": None}
    ChatCompletion.model_validate_json(json.dumps(body), strict=True)
    (choice,) = body["choices"]
    assert choice["logprobs"] is None
    assert choice["message"]["refusal"] is None
    assert choice["message"]["annotations"] == []
    assert "content" in choice["message"]


def check_chunk(body: Any) -> None:
    if body["usage"] is not None and "total_tokens" not in body["usage"]:
        body = {**body, "usage": None}
    ChatCompletionChunk.model_validate_json(json.dumps(body), strict=True)
    (choice,) = body["choices"]
    assert set(choice) == {"index", "finish_reason", "logprobs", "delta"}
    assert "service_tier" in body and "usage" in body and "system_fingerprint" in body


def check_error(body: Any) -> None:
    assert isinstance(body["error"]["message"], str)
    assert set(body) <= {"error", "tensorzero_raw_response", "tensorzero_raw_chunk"}
    assert set(body["error"]) <= {"message", "error_json", "tensorzero_error_json"}


def check_embeddings(body: Any) -> None:
    assert set(body) <= {"object", "data", "model", "usage", "tensorzero::raw_response"}
    assert set(body["usage"]) == {"prompt_tokens", "total_tokens", "tensorzero_cost"}
    for at, entry in enumerate(body["data"]):
        assert set(entry) == {"object", "embedding", "index"}
        assert entry["index"] == at
    # The schema knows no null counts, and base64 only in the request.
    if body["usage"]["prompt_tokens"] is None:
        body = {**body, "usage": {"prompt_tokens": 0, "total_tokens": 0}}
    plain = [
        {**entry, "embedding": [0.0]} if isinstance(entry["embedding"], str) else entry
        for entry in body["data"]
    ]
    CreateEmbeddingResponse.model_validate_json(json.dumps({**body, "data": plain}), strict=True)


def check_answer(path: str, status: int, body: bytes) -> None:
    """A body that is no stream, of one of our routes."""
    if status == 405 or status == 415:
        assert body == b""
        return
    parsed = json.loads(body)
    if status != 200:
        check_error(parsed)
    elif path.endswith("/chat/completions"):
        check_completion(parsed)
    elif path.endswith("/embeddings"):
        check_embeddings(parsed)
    elif path.endswith("/models"):
        for entry in parsed["data"]:
            Model.model_validate_json(json.dumps(entry), strict=True)
    else:
        Model.model_validate_json(body, strict=True)


class Frames:
    """Checks the frames of a stream while they pass."""

    def __init__(self) -> None:
        self.left = b""
        self.seen: list[Any] = []

    def feed(self, data: bytes) -> None:
        *frames, self.left = (self.left + data).split(b"\n\n")
        for frame in frames:
            if frame == b":":
                continue
            assert frame.startswith(b"data: ") and b"\n" not in frame, frame
            if frame == b"data: [DONE]":
                self.end()
                continue
            chunk = json.loads(frame[6:])
            if "error" in chunk:
                check_error(chunk)
            else:
                check_chunk(chunk)
                self.seen.append(chunk)

    def end(self) -> None:
        ends = [at for at, chunk in enumerate(self.seen) if chunk["choices"][0]["finish_reason"]]
        assert ends in ([], [len(self.seen) - 1])
        assert len({chunk["id"] for chunk in self.seen}) <= 1
        roles = ["role" in chunk["choices"][0]["delta"] for chunk in self.seen]
        assert roles == [at == 0 for at in range(len(roles))]


class _Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.frames = Frames()

    def __iter__(self) -> Iterator[bytes]:
        for data in self.inner:
            self.frames.feed(data)
            yield data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self.inner:
            self.frames.feed(data)
            yield data

    def close(self) -> None:
        self.inner.close()

    async def aclose(self) -> None:
        await self.inner.aclose()


def _is_stream(response: httpx.Response) -> bool:
    return response.headers.get("content-type") == "text/event-stream"


class CheckingTransport(httpx.HTTPTransport):
    """What a client gets, checked."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        assert response.headers["x-tensorzero-gateway-version"]
        if _is_stream(response):
            assert response.headers["cache-control"] == "no-cache"
            response.stream = _Stream(response.stream)
        else:
            response.read()
            if request.url.path.partition("/openai/v1/")[1]:
                check_answer(request.url.path, response.status_code, response.content)
        return response


class CheckingAsyncTransport(httpx.AsyncHTTPTransport):
    """The same for asynchronous clients."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if _is_stream(response):
            response.stream = _Stream(response.stream)
        else:
            await response.aread()
            check_answer(request.url.path, response.status_code, response.content)
        return response


class OpenAIApi(Api):
    """The routes below ``/openai/v1``, by hand and by SDK, and all that ``Api`` can."""

    def __init__(self, gateway: Gateway, provider: Provider, prefix: str = "") -> None:
        super().__init__(gateway, provider, prefix)
        self.base = f"{self.url}/openai/v1"
        self.raw = httpx.Client(transport=CheckingTransport(), timeout=30.0)
        self.sdk = OpenAI(
            base_url=self.base, api_key="anything", max_retries=0, http_client=self.raw
        )

    def asdk(self) -> AsyncOpenAI:
        client = httpx.AsyncClient(transport=CheckingAsyncTransport(), timeout=30.0)
        return AsyncOpenAI(
            base_url=self.base, api_key="anything", max_retries=0, http_client=client
        )

    def chat(self, model: str, messages: Any = HI, **fields: Any) -> httpx.Response:
        """One request by hand; ``model`` is a whole ``model`` field, or a function's name."""
        body = {"model": _full(model), "messages": messages, **fields}
        return self.raw.post(f"{self.base}/chat/completions", json=body)

    def completion(self, model: str, messages: Any = HI, **fields: Any) -> Any:
        answer = self.chat(model, messages, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def turned_away(
        self, status: int, *texts: str, model: str = "chat", messages: Any = HI, **fields: Any
    ) -> str:
        """The error's message; every text must be in it."""
        answer = self.chat(model, messages, **fields)
        assert answer.status_code == status, answer.text
        message: str = answer.json()["error"]["message"]
        for wanted in texts:
            assert wanted in message, message
        return message

    def frames(self, model: str, messages: Any = HI, **fields: Any) -> list[Any]:
        """Every frame of a stream before ``[DONE]``."""
        answer = self.chat(model, messages, stream=True, **fields)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream"
        parts = answer.text.split("\n\n")
        assert parts[-2:] == ["data: [DONE]", ""]
        return [json.loads(part[6:]) for part in parts[:-2]]

    def embed(self, body: Any) -> httpx.Response:
        return self.raw.post(f"{self.base}/embeddings", json=body)


def _full(model: str) -> str:
    return model if "::" in model or model == "" else FUNCTION + model


def deltas(frames: list[Any]) -> list[Any]:
    return [frame["choices"][0]["delta"] for frame in frames if "choices" in frame]


def joined(frames: list[Any]) -> str:
    """The text of a stream."""
    return "".join(delta.get("content") or "" for delta in deltas(frames))
