"""What a text-only request costs at each provider type, from the rendered request to the answer.

Upstream servers answer from memory, as in ``stages.py``. ``python benchmarks/provider_costs.py`` prints
a table; ``test_provider_costs.py`` holds the limits.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from budget import least
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from stages import ANSWER, HotPath, MemoryAnswer, run

from tensorzero.config.load import load
from tensorzero.models.table import ModelTable
from tensorzero.providers.aws.signature import Keys, Signer
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.registry import PROVIDERS
from tensorzero.types.content import Message, Text
from tensorzero.types.credentials import Credentials
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.params import ChatCompletionParams
from tzcore.client import Pool
from tzcore.uuid7 import uuid7

RESPONSES = "openai_responses"
TYPES = sorted([*(PROVIDERS.keys() - {"dummy"}), RESPONSES])
"""With the Responses API as one of its own."""
TEXT = "Dear Ann,\n\nthank you so much for your help last week. " * 3
# Each as the vendor's own reference shows it.
CLAUDE = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 39,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 45,
        "service_tier": "standard",
    },
}
GEMINI = {
    "candidates": [
        {
            "content": {"parts": [{"text": TEXT}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 39,
        "candidatesTokenCount": 45,
        "totalTokenCount": 84,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 39}],
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "x5FjaPSOF8ehnsEPy5eT4QU",
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": TEXT}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 39, "outputTokens": 45, "totalTokens": 84},
    "metrics": {"latencyMs": 1275},
}
RESPONSE = {
    "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-4.1-2025-04-14",
    "output": [
        {
            "type": "message",
            "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 39,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 45,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 84,
    },
}
ANSWERS = {
    RESPONSES: RESPONSE,
    "anthropic": CLAUDE,
    "gcp_vertex_anthropic": CLAUDE,
    "gcp_vertex_gemini": GEMINI,
    "google_ai_studio_gemini": GEMINI,
    "aws_bedrock": CONVERSE,
}
_AWS = {"region": "us-east-1", "access_key_id": "env::KEY", "secret_access_key": "env::KEY"}
_GCP = {"project_id": "project", "location": "us-central1"}
OPTIONS: dict[str, dict[str, str]] = {
    "aws_bedrock": {"model_id": "us.anthropic.claude-haiku-4-5-20251001-v1:0", **_AWS},
    "aws_sagemaker": {
        "endpoint_name": "endpoint",
        "model_name": "model",
        "hosted_provider": "openai",
        **_AWS,
    },
    "azure": {"deployment_id": "gpt-4o-mini", "endpoint": "https://resource.openai.azure.com"},
    "gcp_vertex_anthropic": {"model_id": "claude-sonnet-4-5@20250929", **_GCP},
    "gcp_vertex_gemini": {"model_id": "gemini-2.5-flash", **_GCP},
    RESPONSES: {"model_name": "model", "api_type": "responses"},
    "sglang": {"model_name": "model", "api_base": "http://127.0.0.1:9/v1"},
    "tgi": {"api_base": "http://127.0.0.1:9/v1"},
    "vllm": {"model_name": "model", "api_base": "http://127.0.0.1:9/v1"},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor time a request: the provider's part, and ``openai``'s."""

    type: str
    seconds: float
    openai: float
    whole: float
    """A whole request with ``openai``."""

    @property
    def ratio(self) -> float:
        """A whole request beside one with ``openai``."""
        return (self.whole - self.openai + self.seconds) / self.whole


class AnyAnswer(MemoryAnswer):
    def __init__(self, body: bytes) -> None:
        self.body = body


class AnyPool(Pool):
    """A pool whose servers all give one answer at once."""

    answer: MemoryAnswer

    async def request(self, *_: Any, **__: Any) -> Any:
        return self.answer


class Providers:
    """One provider of each type, and a request for all."""

    def __init__(self, folder: Path) -> None:
        (folder / "gcp.json").write_bytes(_key_file())
        key_file = str(folder / "gcp.json")
        lines = []
        for name in TYPES:
            options = OPTIONS.get(name, {"model_name": "model"})
            if not name.startswith(("aws", "gcp")):
                options = {**options, "api_key_location": "env::KEY"}
            lines += [f"[models.{name}]", "routing = ['p']", f"[models.{name}.providers.p]"]
            kind = "openai" if name == RESPONSES else name
            lines += [f"type = '{kind}'", *(f"{k} = '{v}'" for k, v in options.items())]
        path = folder / "providers.toml"
        path.write_text("\n".join(lines))
        environ = {"KEY": "x" * 40, "GCP_VERTEX_CREDENTIALS_PATH": key_file}
        config = load(str(path), environ=environ)
        self._pool = AnyPool(user_agent=b"providers", trust_env=False)
        context = ProviderContext(self._pool, 300_000)
        self._models = ModelTable(config.models, config.shorthands, context)
        self._request = ModelRequest(
            [Message("user", [Text("Write an e-mail to Ann. Purpose: say thanks. " * 3)])],
            system="You write short, friendly e-mails.",
            params=ChatCompletionParams(max_tokens=200, temperature=0.5),
            inference_id=uuid7(),
        )

    def call(self, name: str) -> Callable[[], object]:
        """One request of this type. A token that has to be signed first is signed here."""
        model = self._models.get(name)
        assert model is not None
        provider = model.routes[0].provider
        attempt = Attempt(name, "p", uuid7(), Credentials())
        answer = ANSWERS.get(name)
        self._pool.answer = AnyAnswer(ANSWER if answer is None else orjson.dumps(answer))
        asyncio.run(provider.infer(self._request, attempt))
        return lambda: run(provider.infer(self._request, attempt))


def _key_file() -> bytes:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    fields = {"client_email": "robot@project", "private_key_id": "1", "private_key": pem}
    return orjson.dumps(fields)


def measure(providers: Providers, path: HotPath, name: str) -> Cost:
    """One type beside ``openai``, in one go."""
    whole = least(path.whole)
    openai = least(providers.call("openai"))
    seconds = least(providers.call(name))
    openai = min(openai, least(providers.call("openai")))
    return Cost(name, seconds, openai, min(whole, least(path.whole)))


def signing() -> float:
    """Seconds of processor time that the signature of one request takes, its fields included."""
    pool = Pool(user_agent=b"signing", trust_env=False)
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"
    target = pool.target(
        url, [("content-type", "application/json"), ("accept", "application/json")]
    )
    signer = Signer(Keys("A" * 20, "s" * 40, "t" * 800), "us-east-1", "bedrock")
    payload = b"x" * 1000
    clock = count(1_780_000_000)  # the date changes each second: here with each request
    return least(lambda: target.adding(signer.fields(target, payload, next(clock))))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        providers, path = Providers(Path(folder)), HotPath(Path(folder))
        print(f"{'type':26}{'provider µs':>12}{'of openai':>11}{'whole request':>15}")
        for name in TYPES:
            cost = measure(providers, path, name)
            own = cost.seconds / cost.openai
            print(f"{name:26}{cost.seconds * 1e6:12.1f}{own:10.2f}x{cost.ratio:14.2f}x")
        path.close()
    print(f"{'a signature':26}{signing() * 1e6:12.1f}")


if __name__ == "__main__":
    main()
