"""Models by shorthand reach their vendor with the key of its built-in place."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from providers.calls import MODEL_INFERENCE_ID, request
from providers.family import BY_TYPE
from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.provider_types import PROVIDER_TYPES
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.http import HttpProvider
from tensorzero.providers.registry import make_provider
from tensorzero.types.errors import ApiKeyMissing
from tensorzero.types.model import Attempt
from tzcore.client import Pool
from upstream.scripted import ScriptedServer, Seen, answer

OPENAI = {"openai::m/1": "chat/completions", "openai::responses::m/1": "responses"}
URLS = {name: f"https://api.openai.com/v1/{path}" for name, path in OPENAI.items()} | {
    f"{name}::m/1": BY_TYPE[name].url
    for name in (
        *("deepseek", "fireworks", "groq", "hyperbolic", "mistral", "openrouter"),
        *("together", "xai"),
    )
}
NAMES = {"deepseek": "DeepSeek", "openai": "OpenAI", "openrouter": "OpenRouter", "xai": "xAI"}


def shorthands(environ: dict[str, str]) -> ShorthandModels:
    return ShorthandModels(CredentialReader(environ, True, lambda line: None))


@pytest.mark.parametrize("name", URLS)
def test_a_shorthand(name: str) -> None:
    kind = name.partition("::")[0]
    found = shorthands({f"{kind.upper()}_API_KEY": "key-of-a-test"}).get(name)
    assert found is not None
    (config,) = found.providers
    assert (config.name, config.type, config.options["model_name"]) == (kind, kind, "m/1")

    async def run() -> Seen:
        async with ScriptedServer.saying(answer(b"no", "500 no")) as server:
            pool = Pool(user_agent=b"Test/1", trust_env=False)
            hosts = {urlsplit(URLS[name]).netloc: server.url.removesuffix("/v1")}
            provider = make_provider(ProviderContext(pool, 20_000, hosts=hosts), config)
            assert isinstance(provider, HttpProvider)
            assert provider.url(stream=True) == URLS[name]
            attempt = Attempt(name, kind, MODEL_INFERENCE_ID, {})
            with pytest.raises(Exception, match=f"Error from {kind} server: no"):
                await provider.infer(request(), attempt)
            await pool.aclose()
            (seen,) = server.seen
            return seen

    seen = asyncio.run(asyncio.wait_for(run(), 60))
    assert seen.line == f"POST {urlsplit(URLS[name]).path} HTTP/1.1"
    assert seen.headers["authorization"] == "Bearer key-of-a-test"
    assert b'"model":"m/1"' in seen.body


@pytest.mark.parametrize("name", URLS)
def test_without_its_key(name: str) -> None:
    kind = name.partition("::")[0]
    models = shorthands({})
    for _ in range(2):
        with pytest.raises(ApiKeyMissing) as caught:
            models.get(name)
        assert f"`{kind.upper()}_API_KEY` is missing" in str(caught.value)
        shown = NAMES.get(kind, kind.capitalize())
        assert str(caught.value).startswith(f"API key missing for provider {shown}: ")


GEMINI = "google_ai_studio_gemini"
VENDORS = {
    "anthropic::m": ("https://api.anthropic.com/v1/messages", "x-api-key", "Anthropic"),
    f"{GEMINI}::m": (
        "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
        "x-goog-api-key",
        "Google AI Studio Gemini",
    ),
}


@pytest.mark.parametrize("name", VENDORS)
def test_a_shorthand_of_a_vendor_of_its_own_kind(name: str) -> None:
    kind = name.partition("::")[0]
    url, header, shown = VENDORS[name]
    variable = "GOOGLE_AI_STUDIO_API_KEY" if kind == GEMINI else "ANTHROPIC_API_KEY"
    found = shorthands({variable: "key-of-a-test"}).get(name)
    assert found is not None
    pool = Pool(user_agent=b"Test/1", trust_env=False)
    provider = make_provider(ProviderContext(pool, 20_000), found.providers[0])
    assert isinstance(provider, HttpProvider)
    assert provider.url(stream=False) == url
    target = provider.target(Attempt(name, kind, MODEL_INFERENCE_ID, {}), stream=False)
    assert (header, "key-of-a-test") in target.headers
    with pytest.raises(ApiKeyMissing, match=f"API key missing for provider {shown}: .*{variable}"):
        shorthands({}).get(name)


def test_every_shorthand_is_tested() -> None:
    """Those of Vertex AI: ``test_claude_requests.py`` and ``test_credentials.py``."""
    tested = {name.partition("::")[0] for name in (*URLS, *VENDORS)}
    known = {name for name, kind in PROVIDER_TYPES.items() if kind.shorthand}
    assert known - tested == {"dummy", "gcp_vertex_anthropic", "gcp_vertex_gemini"}


@pytest.mark.parametrize(
    "name", ["azure::m", "sglang::m", "tgi::m", "vllm::m", "groq:m", "Groq::m"]
)
def test_types_without_shorthand(name: str) -> None:
    assert shorthands({"AZURE_API_KEY": "k", "GROQ_API_KEY": "k"}).get(name) is None
