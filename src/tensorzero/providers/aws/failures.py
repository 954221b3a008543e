"""The errors of providers on AWS: all are the server's, and say what of AWS answered."""

from __future__ import annotations

from typing import ClassVar

from tensorzero.providers.aws.event_stream import ExceptionFrame, FrameError
from tensorzero.providers.failures import (
    Failures,
    body_text,
    reading,
    reason_phrase,
    redacted,
)
from tensorzero.types.errors import GatewayError
from tzcore.client import ClientError, ConnectionLost, Response, ResponseStream, Target


class AwsFailures(Failures):
    """``service``: as texts call it, such as ``Bedrock``."""

    service: ClassVar[str]

    def unreachable(self, error: ClientError, raw_request: str, target: Target) -> GatewayError:
        partial = error.partial if isinstance(error, ConnectionLost) else b""
        shown = redacted(body_text(partial), target) if partial else None
        return self.server(self._unsent(error), raw_request, shown)

    def unopened(self, error: ClientError, raw_request: str) -> GatewayError:
        return self.server(self._unsent(error), raw_request)

    def refusal(self, response: Response, raw_request: str, target: Target) -> GatewayError:
        return self._refused(response.status, response.body, raw_request, target)

    async def refused_stream(
        self, response: ResponseStream, raw_request: str, target: Target
    ) -> GatewayError:
        try:
            body = await response.read()
        except ClientError as error:
            return self.broken(error, response, raw_request, target)
        return self._refused(response.status, body, raw_request, target)

    def unreadable(
        self, error: Exception, response: Response, raw_request: str, target: Target
    ) -> GatewayError:
        reason = reading(f"Error parsing response from AWS {self.service}: ", error)
        text = redacted(body_text(response.body), target)
        return self.server(redacted(reason, target), raw_request, text)

    def broken(
        self, error: Exception, response: ResponseStream, raw_request: str, target: Target
    ) -> GatewayError:
        reason = redacted(self._reason(error), target)
        if isinstance(error, ExceptionFrame):
            text = redacted(body_text(error.payload), target)
            return self.server(
                f"AWS {self.service} streaming exception: {reason}", raw_request, text
            )
        if isinstance(error, FrameError):
            return self.server(f"Error decoding event stream frame: {reason}", raw_request)
        return self.server(f"Error reading stream: {reason}", raw_request)

    def _refused(self, status: int, body: bytes, raw_request: str, target: Target) -> GatewayError:
        text = redacted(body_text(body), target)
        words = f"{status} {reason_phrase(status)}".strip()
        return self.server(
            f"AWS {self.service} returned error status {words}: {text}", raw_request, text
        )

    def _unsent(self, error: Exception) -> str:
        return f"Error sending request to AWS {self.service}: {self._reason(error)}"
