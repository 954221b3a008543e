"""The provider types by the config's ``type``.

A new provider is a new file and one line here; ``docs/adding-a-provider.md`` shows one. The file
of a type is imported when the type is first asked for: an unused one costs a start nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TypeVar

from tensorzero.config.model import EmbeddingProviderConfig, ProviderConfig
from tensorzero.providers.base import EmbeddingProvider, Provider, ProviderContext

T = TypeVar("T")

ProviderFactory = Callable[[ProviderContext, ProviderConfig], Provider]
EmbeddingFactory = Callable[[ProviderContext, EmbeddingProviderConfig], EmbeddingProvider]


class LazyTypes(Mapping[str, T]):
    """Types by name, each imported from its place, ``module:name`` in this package."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self.loaded: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        found = self.loaded.get(name)
        if found is None:
            module, _, attribute = self._places[name].partition(":")
            found = getattr(import_module(f"{__package__}.{module}"), attribute)
            self.loaded[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


PROVIDERS: LazyTypes[ProviderFactory] = LazyTypes(
    {
        "anthropic": "anthropic:AnthropicProvider",
        "aws_bedrock": "aws_bedrock:BedrockProvider",
        "aws_sagemaker": "aws_sagemaker:SagemakerProvider",
        "azure": "azure:AzureProvider",
        "deepseek": "deepseek:DeepSeekProvider",
        "fireworks": "fireworks:FireworksProvider",
        "gcp_vertex_anthropic": "gcp_vertex_anthropic:GCPVertexAnthropicProvider",
        "gcp_vertex_gemini": "gcp_vertex_gemini:GCPVertexGeminiProvider",
        "google_ai_studio_gemini": "google_ai_studio_gemini:GoogleAIStudioGeminiProvider",
        "groq": "groq:GroqProvider",
        "hyperbolic": "hyperbolic:HyperbolicProvider",
        "mistral": "mistral:MistralProvider",
        "openai": "openai:make_openai",
        "openrouter": "openrouter:OpenRouterProvider",
        "sglang": "sglang:SGLangProvider",
        "tgi": "tgi:TGIProvider",
        "together": "together:TogetherProvider",
        "vllm": "vllm:VLLMProvider",
        "xai": "xai:XAIProvider",
        "dummy": "dummy:DummyProvider",
    }
)

EMBEDDING_PROVIDERS: LazyTypes[EmbeddingFactory] = LazyTypes(
    {
        "openai": "embeddings:OpenAIEmbeddings",
        "azure": "embeddings:AzureEmbeddings",
        "openrouter": "embeddings:OpenRouterEmbeddings",
        "dummy": "dummy.embeddings:DummyEmbeddings",
    }
)
"""All that the configuration takes (``EMBEDDING_TYPES``)."""


def make_provider(context: ProviderContext, config: ProviderConfig) -> Provider:
    """The provider of a config entry."""
    return PROVIDERS[config.type](context, config)
