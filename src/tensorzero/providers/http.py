"""The part that every HTTP provider shares: send, time, read; its errors are in ``failures``.

A provider type derives from ``HttpProvider`` and says, without any I/O of its own, how a request
becomes a body and how a body or an event becomes an answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit, urlunsplit

import orjson
from msgspec import Struct

from tensorzero.config.credentials import NoCredential, StaticCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import (
    ProviderContext,
    ProviderStream,
    Splitter,
    visible_messages,
)
from tensorzero.providers.batch import Batches
from tensorzero.providers.credentials import api_key
from tensorzero.providers.extra import apply_extra_body, extra_headers, has_extra_headers
from tensorzero.providers.failures import UNREADABLE, Failures
from tensorzero.providers.files import FileContents, file_contents, marked, unmarked
from tensorzero.providers.http_items import HttpItems
from tensorzero.providers.reader import StreamReader
from tensorzero.types import json_text
from tensorzero.types.content import Message, OutputBlock
from tensorzero.types.errors import Serialization
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, EarlyAnswer, ModelRequest, ProviderResponse
from tensorzero.types.usage import ApiType, FinishReason, RawUsage, Usage
from tzcore.client import ClientError, Response, ResponseStream, Target
from tzcore.clock import OutboundClock
from tzcore.sse import SSEParser


def join_api_base(api_base: str, path: str) -> str:
    """``path`` below ``api_base``: one slash between them, no query, nothing added."""
    parts = urlsplit(api_base)
    base_path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return urlunsplit((parts.scheme, parts.netloc, base_path + path, "", ""))


def encode_path(path: str) -> str:
    """``path`` with what no URL's path may hold percent-encoded; ``/``, ``@`` and ``:`` stay."""
    return quote(path, safe="/@:!$&'()*+,;=%~")


AUTHENTICATION_FAULTS = (401, 403)
"""Statuses after which another credential or signature is worth a second try."""

FailuresType = type[Failures]


class Answer(Struct):
    """What a provider's answer body says."""

    output: list[OutputBlock]
    usage: Usage
    raw_usage: Any = None
    finish_reason: FinishReason | None = None


class PlainCall(Struct):
    """Calls of texts alone, with one set of parameters; all of it known at start."""

    target: Target
    timeout_s: float
    body: Callable[[str | None, list[Message]], bytes | None]
    """Of system text and messages; ``None``: a message is more than one text."""
    answer: Callable[[bytes], Answer | None]
    """``None``: the body is of another form."""
    usage_type: str
    api_type: ApiType


class HttpProvider(ABC):
    """A provider reached over HTTP: JSON up, JSON or an event stream down."""

    type: str
    display_name: ClassVar[str]
    api_type: ApiType = "chat_completions"
    stream_type: ClassVar[bytes] = b"text/event-stream"
    """How the content type of a stream begins, in lower case."""
    failures_type: ClassVar[FailuresType] = Failures
    signs: bool = False
    """Whether ``signed`` is asked to sign each request."""
    reads_headers: ClassVar[bool] = False
    batches: Batches | None = None
    """Set where the provider takes batches."""

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        self.context = context
        self.config = config
        # The provider types whose thoughts it is sent, and whose usage objects it passes on.
        self.reads_thoughts_of = self.usage_type = self.type
        self.timeout_s = context.global_timeout_ms / 1000
        self.failures = self.failures_type(self.type, self.api_type, context, self.error_note)
        # Targets by ``stream``, rendered once where the key is known at start.
        self._targets: dict[bool, Target] = {}

    @abstractmethod
    def url(self, *, stream: bool) -> str:
        """Where requests go; known at start."""

    def auth_headers(self, key: str) -> list[tuple[str, str]]:
        """The header fields that authenticate."""
        return [("authorization", f"Bearer {key}")]

    def fixed_headers(self) -> list[tuple[str, str]]:
        """What else the type always sends."""
        return []

    @abstractmethod
    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        """The request body, keys in the provider's order."""

    def body_for(
        self,
        request: ModelRequest,
        messages: list[Message],
        files: FileContents,
        attempt: Attempt,
    ) -> dict[str, Any]:
        """``body``, with what is in it for this attempt alone, such as tools scoped to it."""
        return self.body(request, messages, files)

    def plain_answer(self, body: bytes) -> Answer | None:
        """A complete answer of the commonest form, read without its other parts; ``None``: leave
        it to ``answer``."""
        return None

    @abstractmethod
    def answer(self, body: Any, attempt: Attempt) -> Answer:
        """Read a parsed answer body; raises ``ValueError`` with the reason.

        A ``LookupError``, ``TypeError`` or ``AttributeError`` counts as an answer of a form
        nobody foresaw: the attempt fails, not the request.
        """

    def read_headers(self, answer: Answer, response: Response) -> None:
        """Put into a complete answer what stands in its head; asked where ``reads_headers``."""
        return

    def complete(self, answer: Answer, request: ModelRequest) -> None:
        """Change an answer by what was asked for, such as an answer that was begun for the
        model."""
        return

    @abstractmethod
    def reader(self, attempt: Attempt) -> StreamReader:
        """A reader for one stream."""

    def reader_for(self, request: ModelRequest, attempt: Attempt) -> StreamReader:
        """A reader for the stream of this request, where it depends on it."""
        return self.reader(attempt)

    def splitter(self) -> Splitter:
        """What cuts one stream into events."""
        return SSEParser()

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        """Refuse what this provider cannot be asked for; raises ``GatewayError``."""
        return

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        """The body of a text-only call from parts made before; ``None``: build it from ``body``."""
        return None

    def inlines(self, file: File, request: ModelRequest) -> bool:
        """Whether this file is sent by content (else by URL)."""
        return file.url is None or request.fetch_files

    def error_note(self, response: Response | ResponseStream) -> str:
        """Something of the provider's own to append to an error's text."""
        return ""

    def pending_credentials(self, attempt: Attempt) -> Awaitable[None] | None:
        """What has to be awaited before ``target``: a token that is not there yet. ``None`` when
        nothing has to be; raises (or the awaitable does) ``GatewayError``."""
        return None

    def signed(self, target: Target, payload: bytes, attempt: Attempt, *, stream: bool) -> Target:
        """``target`` with what proves that exactly ``payload`` is sent by us."""
        return target

    def signed_again(
        self,
        target: Target,
        payload: bytes,
        attempt: Attempt,
        server_time: float | None,
        *,
        stream: bool,
    ) -> Target | None:
        """Another signature after a 403, where a new one can help. ``server_time``: see
        ``refused``."""
        return None

    def refused(self, target: Target, server_time: float | None) -> bool:
        """The server answered 401; whether a credential that was not sent is to be had.

        ``server_time``: seconds since 1970, by the answer's ``Date``. Asked once for a request.
        """
        return False

    async def start(self) -> None:
        """What must be there before the first request; raises ``GatewayError``."""
        return

    def target(self, attempt: Attempt, *, stream: bool) -> Target:
        """Where to send, with the headers that authenticate; raises ``ApiKeyMissing``.

        A type whose URL or signature depends on the request overrides this.
        """
        target = self._targets.get(stream)
        if target is None:
            key = api_key(self.config.credential, attempt.credentials, self.display_name)
            target = self._make_target(key, stream)
            if isinstance(self.config.credential, StaticCredential | NoCredential):
                self._targets[stream] = target
        return target

    def _make_target(self, key: str | None, stream: bool) -> Target:
        return self.make_target([] if key is None else self.auth_headers(key), stream)

    def make_target(
        self, auth: list[tuple[str, str]], stream: bool, url: str | None = None
    ) -> Target:
        """The target of ``url``, or of the type's, with these fields; raises ``Serialization``."""
        headers = [
            ("content-type", "application/json"),
            ("accept", "text/event-stream" if stream else "*/*"),
            *auth,
            *self.fixed_headers(),
        ]
        try:
            place = self.context.redirected(url or self.url(stream=stream))
            return self.context.pool.target(place, headers)
        except ValueError as error:
            raise Serialization(f"The request of {self.type} cannot be sent: {error}") from None

    async def infer(self, request: ModelRequest, attempt: Attempt) -> ProviderResponse:
        target, raw_request, payload, messages = await self._prepare(request, attempt)
        clock = request.clock
        early, request.early = request.early, None
        started = monotonic() if early is None else early.started
        clock.enter()
        try:
            if early is None:
                response = await self.context.pool.request(
                    target, payload, timeout_s=self.timeout_s
                )
            else:
                response = self._early_response(early, target, clock)
            if response.status in AUTHENTICATION_FAULTS:
                again = await self._another_target(response, target, payload, request, attempt)
                if again is not None:
                    target = again
                    response = await self.context.pool.request(
                        target, payload, timeout_s=self.timeout_s
                    )
        except ClientError as error:
            raise self.failures.unreachable(error, raw_request, target) from None
        finally:
            clock.leave()
        elapsed = int((monotonic() - started) * 1000)
        body = response.body
        if not 200 <= response.status < 300:
            raise self.failures.refusal(response, raw_request, target)
        try:
            answer = self.plain_answer(body)
            if answer is None:
                answer = self.answer(json_text.loads(body), attempt)
            if self.reads_headers:
                self.read_headers(answer, response)
            self.complete(answer, request)
        except UNREADABLE as error:
            raise self.failures.unreadable(error, response, raw_request, target) from None
        raw_response = body.decode("utf-8", "replace")
        raw_usage = None
        if answer.raw_usage is not None:
            raw_usage = RawUsage(
                attempt.model_inference_id, self.usage_type, self.api_type, answer.raw_usage
            )
        return ProviderResponse(
            attempt.model_inference_id,
            answer.output,
            raw_request,
            raw_response,
            answer.usage,
            raw_usage,
            answer.finish_reason,
            elapsed,
            messages,
            request.system,
        )

    def _early_response(self, early: EarlyAnswer, target: Target, clock: OutboundClock) -> Response:
        """What came already; raises ``ClientError``."""
        clock.add(monotonic() - early.started)
        if early.response is None:
            raise early.error or ClientError("no answer")
        return self.context.pool.decoded(target, early.response)

    def plain_call(self, request: ModelRequest) -> PlainCall | None:
        """How calls like ``request`` can be sent and read without anything else of this class,
        whatever their texts; ``None`` where they can't."""
        return None

    async def stream(self, request: ModelRequest, attempt: Attempt) -> ProviderStream:
        target, raw_request, payload, messages = await self._prepare(request, attempt)
        clock = request.clock
        started = monotonic()
        clock.enter()
        try:
            response, target = await self._open(target, payload, raw_request, request, attempt)
        except BaseException:
            clock.leave()
            raise
        reader = self.reader_for(request, attempt)
        items = HttpItems(
            response, self.splitter(), reader, self.failures, raw_request, target, clock
        )
        return ProviderStream(items, started, raw_request, messages, request.system)

    async def _open(
        self,
        target: Target,
        payload: bytes,
        raw_request: str,
        request: ModelRequest,
        attempt: Attempt,
    ) -> tuple[ResponseStream, Target]:
        """The opened stream, and where it was opened in the end."""
        try:
            response = await self.context.pool.stream(target, payload, timeout_s=self.timeout_s)
            if response.status in AUTHENTICATION_FAULTS:
                again = await self._another_target(response, target, payload, request, attempt)
                if again is not None:
                    await response.aclose()
                    target = again
                    response = await self.context.pool.stream(
                        target, payload, timeout_s=self.timeout_s
                    )
        except ClientError as error:
            raise self.failures.unopened(error, raw_request) from None
        content_type = (response.header(b"content-type") or b"").lower()
        if not 200 <= response.status < 300 or not content_type.startswith(self.stream_type):
            raise await self.failures.refused_stream(response, raw_request, target)
        return response, target

    async def _another_target(
        self,
        response: Response | ResponseStream,
        target: Target,
        payload: bytes,
        request: ModelRequest,
        attempt: Attempt,
    ) -> Target | None:
        """After a 401 or 403: the target with another credential or signature, if that can help."""
        if response.status == 403:
            if not self.signs:
                return None
            server_time = _server_time(response)
            return self.signed_again(target, payload, attempt, server_time, stream=request.stream)
        if not self.refused(target, _server_time(response)):
            return None
        return await self._ready_target(request, attempt)

    async def _ready_target(self, request: ModelRequest, attempt: Attempt) -> Target:
        """Where to send, once what authenticates is there; with the extra headers."""
        pending = self.pending_credentials(attempt)
        if pending is not None:
            await pending
        target = self.target(attempt, stream=request.stream)
        if not has_extra_headers(request, self.config):
            return target
        values, removed = extra_headers(request, self.config, attempt)
        try:
            return target.with_headers(list(values.items()), removed)
        except ValueError as error:
            raise Serialization(f"Invalid extra header: {error}") from None

    async def _prepare(
        self, request: ModelRequest, attempt: Attempt
    ) -> tuple[Target, str, bytes, list[Message]]:
        self.check(request, attempt)
        target = await self._ready_target(request, attempt)
        messages = visible_messages(request, attempt, self.reads_thoughts_of)
        edits = bool(request.variant_extra_body or self.config.extra_body or request.extra_body)
        payload: bytes | None = None
        if request.files is None and not edits:
            try:
                payload = self.plain_body(request, messages)
            except UnicodeEncodeError:  # no Unicode: the general way says so
                payload = None
        if payload is None:
            payload, raw_request = await self._general_body(request, messages, attempt, edits)
        else:
            raw_request = payload.decode()
        if self.signs:
            target = self.signed(target, payload, attempt, stream=request.stream)
        return target, raw_request, payload, messages

    async def rendered_body(self, request: ModelRequest, attempt: Attempt) -> tuple[bytes, str]:
        """The body alone, for calls that are sent another way: as it is sent, and as it is
        recorded, without ``extra_body``. Raises ``GatewayError``."""
        self.check(request, attempt)
        messages = visible_messages(request, attempt, self.type)
        return await self._general_body(request, messages, attempt, False)

    async def _general_body(
        self, request: ModelRequest, messages: list[Message], attempt: Attempt, edits: bool
    ) -> tuple[bytes, str]:
        """The body as it is sent, and as it is recorded."""
        files = await file_contents(request, messages, self.inlines)
        body = self.body_for(request, messages, marked(files), attempt)
        if edits:
            apply_extra_body(body, request, self.config, attempt)
        try:
            payload = orjson.dumps(body)
            if not files:
                return payload, payload.decode()
            payload, recorded = unmarked(payload, files)
        except TypeError as error:
            # Nested deeper than the serializer goes: a schema, tool or block of the caller's.
            raise Serialization(f"The request of {self.type} cannot be written: {error}") from None
        return payload, recorded.decode()


def _server_time(response: Response | ResponseStream) -> float | None:
    """What the answer's ``Date`` says, in seconds since 1970."""
    try:
        date = (response.header(b"date") or b"").decode("ascii")
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
