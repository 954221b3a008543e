"""``POST /feedback``."""

from __future__ import annotations

from tensorzero.api.use_case import Call, UseCase
from tensorzero.gateway.feedback import give_feedback
from tensorzero.gateway.services import Services


def feedback_use_cases(services: Services) -> dict[tuple[str, str], UseCase]:
    """By method and path."""

    async def feedback(call: Call) -> object:
        return await give_feedback(call.body, services)

    return {("POST", "/feedback"): feedback}
