"""All routes that are use cases with a JSON body: one line for each family."""

from __future__ import annotations

from collections.abc import Mapping

from tensorzero.api.batch_inference import batch_use_cases
from tensorzero.api.datasets import changing_dataset_use_cases, reading_dataset_use_cases
from tensorzero.api.feedback import feedback_use_cases
from tensorzero.api.inference_queries import inference_query_use_cases
from tensorzero.api.use_case import UseCaseRoute
from tensorzero.api.workflow_runs import workflow_use_cases
from tensorzero.gateway.datasets.store import DatapointStore
from tensorzero.gateway.running import Running
from tensorzero.gateway.services import Services


def use_case_routes(services: Services, tasks: set[Running]) -> dict[tuple[str, str], UseCaseRoute]:
    """By method and path, a ``{name}`` in the path is a parameter."""
    error_json = services.config.gateway.unstable_error_json
    datapoints = DatapointStore(services)
    changing = {
        **batch_use_cases(services),
        **feedback_use_cases(services),
        **workflow_use_cases(services),
        **changing_dataset_use_cases(datapoints),
    }
    reading = {
        **inference_query_use_cases(services),
        **reading_dataset_use_cases(datapoints),
    }
    return {
        key: UseCaseRoute(use_case, tasks, error_json=error_json, reads_only=key in reading)
        for key, use_case in (*changing.items(), *reading.items())
    }


def exact_posts(routes: Mapping[tuple[str, str], UseCaseRoute]) -> dict[str, UseCaseRoute]:
    """Those that our own protocol can serve: by path, without parameters."""
    return {
        path: route
        for (method, path), route in routes.items()
        if method == "POST" and "{" not in path
    }
