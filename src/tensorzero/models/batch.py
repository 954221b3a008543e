"""A model's batches: the first provider of the routing that takes one."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tensorzero.models.model import Model, Route
from tensorzero.providers.batch import Batches, batches_of
from tensorzero.types.batch import StartedBatch
from tensorzero.types.credentials import Credentials
from tensorzero.types.errors import AllModelProvidersFailed, GatewayError
from tensorzero.types.errors.batch import (
    InvalidModelProvider,
    UnsupportedModelProviderForBatchInference,
)
from tensorzero.types.model import Attempt, ModelRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelBatch:
    """A batch that was started, and by whom."""

    started: StartedBatch
    model_name: str
    provider_name: str


async def start_batch(
    model: Model, requests: list[ModelRequest], credentials: Credentials
) -> ModelBatch:
    """Raises ``AllModelProvidersFailed``. No retries, no time limits of variant and model."""
    errors: dict[str, GatewayError] = {}
    for route in model.routes:
        name = route.config.name
        items = [
            (one, Attempt(model.name, name, one.inference_id, credentials)) for one in requests
        ]
        try:
            started = await _batches(route).start(items)
        except GatewayError as error:
            log.warning("model `%s`, provider `%s`: %s", model.name, name, error)
            errors[name] = error
            continue
        return ModelBatch(started, model.name, name)
    raise AllModelProvidersFailed(errors)


def route_of(model: Model, provider_name: str) -> tuple[Route, Batches]:
    """The provider that has a batch; raises ``GatewayError`` when it is gone."""
    for route in model.routes:
        if route.config.name == provider_name:
            return route, _batches(route)
    raise InvalidModelProvider(model.name, provider_name)


def _batches(route: Route) -> Batches:
    batches = batches_of(route.provider)
    if batches is None:
        raise UnsupportedModelProviderForBatchInference(route.provider.type)
    return batches
