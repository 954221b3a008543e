"""The provider types by the config's ``type``.

A new provider is a new file and one line here; ``docs/adding-a-provider.md`` shows one.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorzero.config.model import EmbeddingProviderConfig, ProviderConfig
from tensorzero.providers.anthropic import AnthropicProvider
from tensorzero.providers.aws_bedrock import BedrockProvider
from tensorzero.providers.aws_sagemaker import SagemakerProvider
from tensorzero.providers.azure import AzureProvider
from tensorzero.providers.base import EmbeddingProvider, Provider, ProviderContext
from tensorzero.providers.deepseek import DeepSeekProvider
from tensorzero.providers.dummy import DummyProvider
from tensorzero.providers.dummy.embeddings import DummyEmbeddings
from tensorzero.providers.embeddings import (
    AzureEmbeddings,
    OpenAIEmbeddings,
    OpenRouterEmbeddings,
)
from tensorzero.providers.fireworks import FireworksProvider
from tensorzero.providers.gcp_vertex_anthropic import GCPVertexAnthropicProvider
from tensorzero.providers.gcp_vertex_gemini import GCPVertexGeminiProvider
from tensorzero.providers.google_ai_studio_gemini import GoogleAIStudioGeminiProvider
from tensorzero.providers.groq import GroqProvider
from tensorzero.providers.hyperbolic import HyperbolicProvider
from tensorzero.providers.mistral import MistralProvider
from tensorzero.providers.openai import make_openai
from tensorzero.providers.openrouter import OpenRouterProvider
from tensorzero.providers.sglang import SGLangProvider
from tensorzero.providers.tgi import TGIProvider
from tensorzero.providers.together import TogetherProvider
from tensorzero.providers.vllm import VLLMProvider
from tensorzero.providers.xai import XAIProvider

PROVIDERS: dict[str, Callable[[ProviderContext, ProviderConfig], Provider]] = {
    "anthropic": AnthropicProvider,
    "aws_bedrock": BedrockProvider,
    "aws_sagemaker": SagemakerProvider,
    "azure": AzureProvider,
    "deepseek": DeepSeekProvider,
    "fireworks": FireworksProvider,
    "gcp_vertex_anthropic": GCPVertexAnthropicProvider,
    "gcp_vertex_gemini": GCPVertexGeminiProvider,
    "google_ai_studio_gemini": GoogleAIStudioGeminiProvider,
    "groq": GroqProvider,
    "hyperbolic": HyperbolicProvider,
    "mistral": MistralProvider,
    "openai": make_openai,
    "openrouter": OpenRouterProvider,
    "sglang": SGLangProvider,
    "tgi": TGIProvider,
    "together": TogetherProvider,
    "vllm": VLLMProvider,
    "xai": XAIProvider,
    "dummy": DummyProvider,
}

EMBEDDING_PROVIDERS: dict[
    str, Callable[[ProviderContext, EmbeddingProviderConfig], EmbeddingProvider]
] = {
    "openai": OpenAIEmbeddings,
    "azure": AzureEmbeddings,
    "openrouter": OpenRouterEmbeddings,
    "dummy": DummyEmbeddings,
}
"""All that the configuration takes (``EMBEDDING_TYPES``)."""


def make_provider(context: ProviderContext, config: ProviderConfig) -> Provider:
    """The provider of a config entry."""
    return PROVIDERS[config.type](context, config)
