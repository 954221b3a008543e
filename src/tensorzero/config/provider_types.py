"""The provider types: their own keys, built-in credentials, and rules.

Source: the contract's page on models and providers, sections 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass

KEY = "api_key_location"
GCP_KEY = "credential_location"


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One type. ``keys`` maps each own key to its kind: ``str``, ``str!`` (required), ``bool``,
    ``url``, ``url!``, ``tables``, ``map``, ``endpoint!``. ``variable`` is the built-in credential;
    ``display_name`` stands in error texts at request time, ``start_name`` in those at start."""

    display_name: str
    keys: dict[str, str]
    variable: str | None = None
    optional_key: bool = False
    shorthand: bool = False
    credential_key: str | None = KEY
    start_name: str = ""

    def __post_init__(self) -> None:
        if not self.start_name:
            object.__setattr__(self, "start_name", self.display_name)


_PLAIN = {"model_name": "str!"}
_AWS = {
    "region": "str",
    "endpoint_url": "str",
    "access_key_id": "str",
    "secret_access_key": "str",
    "session_token": "str",
    "allow_auto_detect_region": "bool",
}
_GCP = {"location": "str!", "project_id": "str!"}

PROVIDER_TYPES: dict[str, ProviderType] = {
    "anthropic": ProviderType(
        "Anthropic",
        {
            **_PLAIN,
            "api_base": "url",
            "provider_tools": "tables",
            "beta_structured_outputs": "bool",
        },
        "ANTHROPIC_API_KEY",
        shorthand=True,
    ),
    "aws_bedrock": ProviderType(
        "aws", {"model_id": "str!", **_AWS, "api_key": "str"}, credential_key=None
    ),
    "aws_sagemaker": ProviderType(
        "aws",
        {"endpoint_name": "str!", "model_name": "str!", "hosted_provider": "str!", **_AWS},
        credential_key=None,
    ),
    "azure": ProviderType(
        "Azure", {"deployment_id": "str!", "endpoint": "endpoint!"}, "AZURE_API_KEY"
    ),
    "deepseek": ProviderType(
        "DeepSeek", dict(_PLAIN), "DEEPSEEK_API_KEY", shorthand=True, start_name="Deepseek"
    ),
    "fireworks": ProviderType(
        "Fireworks", {**_PLAIN, "parse_think_blocks": "bool"}, "FIREWORKS_API_KEY", shorthand=True
    ),
    "gcp_vertex_anthropic": ProviderType(
        "GCP Vertex Gemini",
        {"model_id": "str!", **_GCP, "provider_tools": "tables"},
        "GCP_VERTEX_CREDENTIALS_PATH",
        shorthand=True,
        credential_key=GCP_KEY,
        start_name="GCPVertexAnthropic",
    ),
    "gcp_vertex_gemini": ProviderType(
        "GCP Vertex Gemini",
        {"model_id": "str", "endpoint_id": "str", **_GCP},
        "GCP_VERTEX_CREDENTIALS_PATH",
        shorthand=True,
        credential_key=GCP_KEY,
        start_name="GCPVertexGemini",
    ),
    "google_ai_studio_gemini": ProviderType(
        "Google AI Studio Gemini",
        dict(_PLAIN),
        "GOOGLE_AI_STUDIO_API_KEY",
        shorthand=True,
        start_name="GoogleAIStudioGemini",
    ),
    "groq": ProviderType(
        "Groq", {**_PLAIN, "reasoning_format": "str"}, "GROQ_API_KEY", shorthand=True
    ),
    "hyperbolic": ProviderType("Hyperbolic", dict(_PLAIN), "HYPERBOLIC_API_KEY", shorthand=True),
    "mistral": ProviderType(
        "Mistral", {**_PLAIN, "prompt_mode": "str"}, "MISTRAL_API_KEY", shorthand=True
    ),
    "openai": ProviderType(
        "OpenAI",
        {
            **_PLAIN,
            "api_base": "url",
            "api_type": "str",
            "include_encrypted_reasoning": "bool",
            "provider_tools": "tables",
            "content_type_overrides": "map",
        },
        "OPENAI_API_KEY",
        shorthand=True,
    ),
    "openrouter": ProviderType("OpenRouter", dict(_PLAIN), "OPENROUTER_API_KEY", shorthand=True),
    "sglang": ProviderType(
        "SGLang", {**_PLAIN, "api_base": "url!"}, "SGLANG_API_KEY", optional_key=True
    ),
    "tgi": ProviderType("TGI", {"api_base": "url!"}, "TGI_API_KEY", optional_key=True),
    "together": ProviderType(
        "Together", {**_PLAIN, "parse_think_blocks": "bool"}, "TOGETHER_API_KEY", shorthand=True
    ),
    "vllm": ProviderType(
        "vLLM", {**_PLAIN, "api_base": "url!"}, "VLLM_API_KEY", optional_key=True, start_name="VLLM"
    ),
    "xai": ProviderType("xAI", dict(_PLAIN), "XAI_API_KEY", shorthand=True, start_name="XAI"),
    "dummy": ProviderType("Dummy", dict(_PLAIN), shorthand=True),
}
"""All types; ``dummy`` is ours."""

GCP_TYPES = ("gcp_vertex_anthropic", "gcp_vertex_gemini")
AWS_TYPES = ("aws_bedrock", "aws_sagemaker")
EMBEDDING_TYPES = ("openai", "azure", "openrouter", "dummy")
EMBEDDING_SHORTHANDS = ("openai::", "openrouter::")

RESERVED_PREFIXES = (*(f"{name}::" for name in PROVIDER_TYPES), "tensorzero::")
