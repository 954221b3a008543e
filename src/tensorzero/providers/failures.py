"""The errors of one provider: which kind a fault is, what its text says, what it never says."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar

from tensorzero.providers.base import ProviderContext
from tensorzero.types.errors import (
    FatalStreamError,
    GatewayError,
    InferenceClient,
    InferenceServer,
)
from tensorzero.types.usage import ApiType
from tzcore.client import (
    BodyTooLarge,
    ClientError,
    ClientTimeout,
    ConnectionLost,
    Response,
    ResponseStream,
    Target,
)

CLIENT_FAULTS = frozenset({400, 401, 403, 429})
"""Statuses that keep their number; every other failure counts as the server's."""

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading an answer may raise: the reason, or the trace of a form that nobody foresaw."""


class BadAnswer(ValueError):
    """What is wrong with an answer that was read: its text stands as it is."""


SECRET_FIELDS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "x-amz-security-token",
    }
)
MIN_SECRET = 8
"""Shorter header values are not looked for in texts: they would match by chance."""

AnyResponse = Response | ResponseStream
Note = Callable[[AnyResponse], str]


class Failures:
    """Makes the errors of a provider. ``note`` is what the type adds to a text, such as a request
    id. A type whose vendor is worded otherwise derives its own."""

    client_faults: ClassVar[frozenset[int]] = CLIENT_FAULTS
    event_fault: ClassVar[str] = "Error parsing chunk. Error: "
    wrong_status: ClassVar[str] = "Invalid status code: {}"
    wrong_type: ClassVar[str] = "Invalid content type: `{}`"

    def __init__(
        self, provider_type: str, api_type: ApiType, context: ProviderContext, note: Note
    ) -> None:
        self.provider_type = provider_type
        self.api_type = api_type
        self.debug = context.debug
        self.timeout_ms = context.global_timeout_ms
        self.note = note

    # --- complete answers

    def unreachable(self, error: ClientError, raw_request: str, target: Target) -> GatewayError:
        """No answer at all counts as the client's fault, a broken one as the server's."""
        partial = error.partial if isinstance(error, ConnectionLost) else b""
        if partial or isinstance(error, BodyTooLarge):
            shown = redacted(body_text(partial), target) if partial else None
            return self.server(self._reason(error), raw_request, shown)
        return self.client(self._unsent(error), raw_request)

    def refusal(self, response: Response, raw_request: str, target: Target) -> GatewayError:
        """A status that is no success."""
        text = redacted(body_text(response.body), target)
        message = text + self.note(response)
        if response.status in self.client_faults:
            return self.client(message, raw_request, text, response.status)
        return self.server(message, raw_request, text)

    def unreadable(
        self, error: Exception, response: Response, raw_request: str, target: Target
    ) -> GatewayError:
        """A success whose body is not what it should be."""
        reason = redacted(reading("Error parsing JSON response: ", error), target)
        text = redacted(body_text(response.body), target)
        return self.server(reason + self.note(response), raw_request, text)

    # --- streams

    def unopened(self, error: ClientError, raw_request: str) -> GatewayError:
        """No answer at all."""
        return self.fatal(self._unsent(error), raw_request)

    async def refused_stream(
        self, response: ResponseStream, raw_request: str, target: Target
    ) -> GatewayError:
        """A wrong status or content type, with the answer's text."""
        try:
            text = redacted(body_text(await response.read()), target)
        except ClientError as error:
            return self.broken(error, response, raw_request, target)
        if 200 <= response.status < 300:
            content_type = (response.header(b"content-type") or b"").decode("latin-1").lower()
            reason = self.wrong_type.format(content_type)
        else:
            status = f"{response.status} {reason_phrase(response.status)}".strip()
            reason = self.wrong_status.format(status)
        return self.fatal(f"{reason}: {text}{self.note(response)}", raw_request, text)

    def bad_event(
        self,
        error: Exception,
        event: bytes,
        response: ResponseStream,
        raw_request: str,
        target: Target,
    ) -> GatewayError:
        """One event that cannot be read; the stream goes on."""
        reason = redacted(reading(self.event_fault, error), target)
        text = redacted(body_text(event), target)
        return self.server(reason + self.note(response), raw_request, text)

    def broken(
        self, error: Exception, response: ResponseStream, raw_request: str, target: Target
    ) -> GatewayError:
        """The stream broke off, or is no event stream."""
        reason = redacted(self._reason(error), target)
        return self.fatal(reason + self.note(response), raw_request)

    # --- kinds

    def client(
        self,
        message: str,
        raw_request: str | None,
        raw_response: str | None = None,
        status: int | None = None,
    ) -> GatewayError:
        return InferenceClient(
            message,
            provider_type=self.provider_type,
            api_type=self.api_type,
            status_code=status,
            reason="" if status is None else reason_phrase(status),
            raw_request=raw_request,
            raw_response=raw_response,
            debug=self.debug,
        )

    def server(
        self, message: str, raw_request: str | None, raw_response: str | None = None
    ) -> GatewayError:
        return InferenceServer(
            message,
            provider_type=self.provider_type,
            api_type=self.api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=self.debug,
        )

    def fatal(
        self, message: str, raw_request: str, raw_response: str | None = None
    ) -> GatewayError:
        return FatalStreamError(
            message,
            provider_type=self.provider_type,
            api_type=self.api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=self.debug,
        )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ClientTimeout):
            return (
                "Request timed out due to `gateway.global_outbound_http_timeout_ms` "
                f"({self.timeout_ms}ms)"
            )
        return str(error)

    def _unsent(self, error: Exception) -> str:
        return f"Error sending request: {self._reason(error)}"


def reason_phrase(status: int) -> str:
    """The standard's words for a status, whatever the server called it."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def request_id_note(response: AnyResponse) -> str:
    """What OpenAI's errors end in: the number that its support asks for."""
    request_id = response.header(b"x-request-id")
    return "" if request_id is None else f" [request_id: {request_id.decode('latin-1')}]"


def redacted(text: str, target: Target) -> str:
    """``text`` of a provider without the secrets that it was sent: some servers echo them."""
    for name, value in target.headers:
        if name.lower() in SECRET_FIELDS:
            secret = value.rpartition(" ")[2]
            if len(secret) >= MIN_SECRET:
                text = text.replace(secret, "[redacted]")
    return text


def body_text(body: bytes) -> str:
    """A body as texts show it."""
    return body.decode("utf-8", "replace")


def reading(introduction: str, error: Exception) -> str:
    """What was wrong with an answer; an unforeseen form by the kind of its trace."""
    if isinstance(error, BadAnswer):
        return str(error)
    if isinstance(error, ValueError):
        return introduction + str(error)
    return f"{introduction}unexpected form ({error!r})"
