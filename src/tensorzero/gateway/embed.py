"""``embed``: vectors of texts. Nothing of it is recorded (the contract's data model, 11.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tensorzero.gateway.services import Services
from tensorzero.types.credentials import Credentials
from tensorzero.types.embedding import EmbeddingRequest, EmbeddingResult
from tensorzero.types.errors import InvalidRequest, ModelNotFound


@dataclass(slots=True)
class EmbeddingsRequest:
    """What a client asks for; ``model_name`` is without prefix."""

    model_name: str
    request: EmbeddingRequest
    credentials: Credentials = field(default_factory=Credentials)
    dryrun: bool = False
    include_raw_response: bool = False


async def embed(asked: EmbeddingsRequest, services: Services) -> EmbeddingResult:
    """Run it and count it; raises ``GatewayError``."""
    model = services.embeddings.get(asked.model_name)
    if model is None:
        raise ModelNotFound(asked.model_name)
    if asked.request.input == []:
        raise InvalidRequest("`input` must not be an empty list")
    if not asked.dryrun:
        services.metrics.embeddings(asked.model_name, asked.request.count)
    result = await model.embed(asked.request, asked.credentials)
    services.metrics.tokens(result.response.usage)
    return result
