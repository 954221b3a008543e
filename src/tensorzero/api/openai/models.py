"""``GET /openai/v1/models``: what the configuration offers, as clients list models.

The contract knows no such route; many clients ask for it before anything else.
"""

from __future__ import annotations

from time import time
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tensorzero.api.errors import log_error
from tensorzero.api.openai.errors import OpenAIErrors
from tensorzero.api.openai.request import EMBEDDING_PREFIX, FUNCTION_PREFIX, MODEL_PREFIX
from tensorzero.config.config import Config
from tensorzero.models.embedding import EmbeddingTable
from tensorzero.models.table import ModelTable
from tensorzero.types.errors import ModelNotFound


class ModelsRoute:
    """Functions, models and embedding models by the names that ``model`` fields take."""

    def __init__(self, config: Config, models: ModelTable, embeddings: EmbeddingTable) -> None:
        self.models = models
        self.embeddings = embeddings
        self.error_json = config.gateway.unstable_error_json
        self.created = int(time())
        # Judges of evaluators are functions too, but nobody's to call.
        functions = [name for name in config.functions if not name.startswith("tensorzero::")]
        self.ids = [
            *(FUNCTION_PREFIX + name for name in functions),
            *(MODEL_PREFIX + name for name in config.models),
            *(EMBEDDING_PREFIX + name for name in config.embedding_models),
        ]

    async def __call__(self, request: Request) -> Response:
        """The list."""
        data = [self._model(name) for name in self.ids]
        return _json({"object": "list", "data": data})

    async def one(self, request: Request) -> Response:
        """One of them, or a model by shorthand; its name is the rest of the path."""
        name = unquote(request.scope["raw_path"].decode("latin-1")).partition("/openai/v1/models/")[
            2
        ]
        if name in self.ids or self._is_shorthand(name):
            return _json(self._model(name))
        error = ModelNotFound(name)
        log_error(error)
        body = OpenAIErrors().error(error, error_json=self.error_json, include_raw_response=False)
        return Response(body, error.status, media_type="application/json")

    def _is_shorthand(self, name: str) -> bool:
        if name.startswith(MODEL_PREFIX):
            return self.models.exists(name.removeprefix(MODEL_PREFIX))
        if name.startswith(EMBEDDING_PREFIX):
            return self.embeddings.exists(name.removeprefix(EMBEDDING_PREFIX))
        return False

    def _model(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": self.created,
            "owned_by": "tensorzero",
        }


def _json(body: object) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
