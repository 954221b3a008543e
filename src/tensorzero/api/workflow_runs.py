"""``POST /workflow_evaluation_run`` and ``…/{run_id}/episode``, and their former names."""

from __future__ import annotations

import logging

from tensorzero.api.use_case import Call, UseCase
from tensorzero.gateway.services import Services
from tensorzero.gateway.workflow_runs import start_episode, start_run

log = logging.getLogger(__name__)


def workflow_use_cases(services: Services) -> dict[tuple[str, str], UseCase]:
    """By method and path."""

    async def run(call: Call) -> object:
        return await start_run(call.body, services)

    async def episode(call: Call) -> object:
        return await start_episode(call.path["run_id"], call.body, services)

    return {
        ("POST", "/workflow_evaluation_run"): run,
        ("POST", "/workflow_evaluation_run/{run_id}/episode"): episode,
        ("POST", "/dynamic_evaluation_run"): _former(run),
        ("POST", "/dynamic_evaluation_run/{run_id}/episode"): _former(episode),
    }


def _former(use_case: UseCase) -> UseCase:
    warned = False

    async def answer(call: Call) -> object:
        nonlocal warned
        if not warned:
            warned = True
            log.warning("`/dynamic_evaluation_run` is now called `/workflow_evaluation_run`")
        return await use_case(call)

    return answer
