"""Errors of the Gemini types: which statuses are the caller's, and how they are worded."""

from __future__ import annotations

from tensorzero.providers.failures import Failures


class GeminiFailures(Failures):
    """403 is the server's fault here, 413 the client's."""

    client_faults = frozenset({400, 401, 413, 429})
    event_fault = "Error parsing streaming JSON response: "
    wrong_status = "Error sending request: InvalidStatusCode({})"
    wrong_type = "Error sending request: InvalidContentType({})"
