"""``POST /v1/inferences/list_inferences`` and ``…/get_inferences``."""

from __future__ import annotations

from tensorzero.api.use_case import Call, UseCase
from tensorzero.gateway.queries.inferences import answer_get, answer_list
from tensorzero.gateway.services import Services


def inference_query_use_cases(services: Services) -> dict[tuple[str, str], UseCase]:
    """By method and path."""

    async def list_all(call: Call) -> object:
        return await answer_list(call.body, services)

    async def get(call: Call) -> object:
        return await answer_get(call.body, services)

    return {
        ("POST", "/v1/inferences/list_inferences"): list_all,
        ("POST", "/v1/inferences/get_inferences"): get,
    }
