"""Calls one provider against a scripted server and shows both sides of the exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from tensorzero.config.credentials import Credential, NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.items import Items, ItemStream, StreamItem
from tensorzero.providers.registry import PROVIDERS, make_provider
from tensorzero.types.content import Message, Text
from tensorzero.types.errors import BadFileFetch, GatewayError
from tensorzero.types.files import File, FileData
from tensorzero.types.model import Attempt, ModelRequest, ProviderResponse
from tensorzero.types.params import PARAM_NAMES, ChatCompletionParams
from tzcore.client import Pool
from upstream.scripted import Script, ScriptedServer, Seen, answer

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hello!"}}
COMPLETION = {"id": "x", "choices": [{**CHOICE, "finish_reason": "stop"}]}
MODEL_INFERENCE_ID = "0190f000-0000-7000-8000-000000000009"


async def read(items: ItemStream) -> list[StreamItem]:
    """Every item of a stream, the first one included."""
    first = await items.first()
    return [] if first is None else [first, *await Collected().of(items)]


class Collected:
    """Takes the items of a stream as they are pushed."""

    def __init__(self) -> None:
        self.items: list[StreamItem] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, item: StreamItem) -> None:
        self.items.append(item)

    def flush(self) -> None:
        return

    def end(self, fault: Exception | None) -> None:
        if fault is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(fault)

    async def of(self, items: Items) -> list[StreamItem]:
        """All that is left of ``items``; closes them when it is cancelled."""
        items.push(self)
        try:
            await self.over
        finally:
            items.close()
        return self.items


class Files:
    """Contents by URL, as a request's files give them."""

    def __init__(self, contents: Mapping[str, FileData]) -> None:
        self.contents = contents
        self.asked: list[File] = []

    async def resolve(self, file: File) -> FileData:
        self.asked.append(file)
        if file.data is not None:
            return FileData(file.data, file.mime_type or "")
        try:
            return self.contents[file.url or ""]
        except KeyError:
            raise BadFileFetch(file.url or "", "HTTP status 404") from None


def user(*blocks: Any) -> Message:
    return Message("user", [Text(one) if isinstance(one, str) else one for one in blocks])


def assistant(*blocks: Any) -> Message:
    return Message("assistant", [Text(one) if isinstance(one, str) else one for one in blocks])


def request(*messages: Message, **fields: Any) -> ModelRequest:
    """``fields``: those of ``ModelRequest``, and sampling parameters by their own names."""
    names = [name for name in PARAM_NAMES if name in fields and name != "json_mode"]
    params = ChatCompletionParams(**{name: fields.pop(name) for name in names})
    return ModelRequest(list(messages) or [user("hi")], params=params, **fields)


@dataclass
class Outcome:
    """What the server saw, and what the provider made of its answer."""

    seen: list[Seen]
    response: ProviderResponse | None = None
    error: GatewayError | None = None
    items: list[Any] = field(default_factory=list)
    raw_request: str | None = None
    connections: int = 0
    took_s: float = 0.0
    failures: list[bool] = field(default_factory=list)

    @property
    def body(self) -> str:
        return self.seen[-1].body.decode()

    @property
    def headers(self) -> dict[str, str]:
        return self.seen[-1].headers

    def answered(self) -> ProviderResponse:
        assert self.error is None, self.error
        assert self.response is not None
        return self.response

    def failed(self) -> GatewayError:
        assert self.error is not None, self.response
        return self.error


def call(
    given: ModelRequest,
    *scripts: Script,
    type: str = "openai",
    model: str = "gpt-x",
    base: str = "",
    options: Mapping[str, Any] | None = None,
    credential: Credential | None = None,
    credentials: Mapping[str, str] | None = None,
    files: Mapping[str, FileData] | None = None,
    global_timeout_ms: int = 20_000,
    debug: bool = False,
    max_body_bytes: int = 2**26,
    times: int = 1,
    rest_s: float = 0.0,
    keep_going: bool = False,
    hosts: Sequence[str] = (),
    places: Sequence[str] = ("api_base",),
    keys: Mapping[str, Credential] | None = None,
    **config: Any,
) -> Outcome:
    """One call (or ``times``, ``rest_s`` apart) of a provider; without a script the server says
    hello. What is for a vendor's host or one of ``hosts`` goes to the server too, and the options
    ``places`` name it. Without ``files`` the call has no way to read any, as calls without file
    blocks."""
    if files is not None:
        given.files = Files(files)

    async def run() -> Outcome:
        async with ScriptedServer.saying(*(scripts or [answer(COMPLETION)])) as server:
            pool = Pool(user_agent=b"Test/1", trust_env=False, max_body_bytes=max_body_bytes)
            vendor = getattr(PROVIDERS.get(type), "api_base", "")
            elsewhere = [*hosts, urlsplit(vendor).netloc] if vendor else hosts
            origin = server.url.removesuffix("/v1")
            given_places = () if vendor else places
            provider = make_provider(
                ProviderContext(pool, global_timeout_ms, debug, dict.fromkeys(elsewhere, origin)),
                ProviderConfig(
                    "p",
                    type,
                    {
                        "model_name": model,
                        **dict.fromkeys(given_places, server.url + base),
                        **(options or {}),
                    },
                    NoCredential() if credential is None else credential,
                    keys or {},
                    **config,
                ),
            )
            attempt = Attempt("m", "p", MODEL_INFERENCE_ID, dict(credentials or {}))
            outcome = Outcome(server.seen)
            started = monotonic()
            for turn in range(times):
                if turn:
                    await asyncio.sleep(rest_s)
                try:
                    if given.stream:
                        opened = await provider.stream(given, attempt)
                        outcome.raw_request = opened.raw_request
                        outcome.items = await read(opened.items)
                    else:
                        outcome.response = await provider.infer(given, attempt)
                        outcome.raw_request = outcome.response.raw_request
                    outcome.failures.append(False)
                except GatewayError as error:
                    outcome.error = error
                    outcome.failures.append(True)
                    if not keep_going:
                        break
            outcome.took_s = monotonic() - started
            outcome.connections = server.connections
            await pool.aclose()
            return outcome

    return asyncio.run(asyncio.wait_for(run(), 60))
