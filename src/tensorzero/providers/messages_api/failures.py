"""Errors of the types that speak the Messages API."""

from __future__ import annotations

from tensorzero.providers.failures import BadAnswer, Failures, body_text, reading
from tensorzero.types.errors import GatewayError
from tzcore.client import Response, Target


class MessagesFailures(Failures):
    """413 counts as the caller's fault, 403 as the server's; unreadable answers are shown."""

    client_faults = frozenset({400, 401, 413, 429})
    wrong_status = "Error sending request: InvalidStatusCode({})"
    wrong_type = "Error sending request: InvalidContentType({})"

    def unreadable(
        self, error: Exception, response: Response, raw_request: str, target: Target
    ) -> GatewayError:
        reason = reading("Error parsing JSON response: ", error)
        fault = BadAnswer(f"{reason}: {body_text(response.body)}")
        return super().unreadable(fault, response, raw_request, target)
