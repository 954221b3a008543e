"""``type = "hyperbolic"``: Chat Completions without tools and JSON modes."""

from __future__ import annotations

from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider


class HyperbolicProvider(ChatCompletionsProvider):
    """Hyperbolic's serverless inference. JSON is asked for by instruction only."""

    type = "hyperbolic"
    display_name = "Hyperbolic"
    api_base = "https://api.hyperbolic.xyz/v1/"
    keys = (
        "model frequency_penalty max_tokens presence_penalty seed stream temperature top_p stop "
        "reasoning_effort"
    )
