"""``type = "google_ai_studio_gemini"``: Gemini by API key."""

from __future__ import annotations

from tensorzero.providers.gemini.provider import GeminiProvider
from tensorzero.providers.http import encode_path

BASE = "https://generativelanguage.googleapis.com/v1beta/models/"


class GoogleAIStudioGeminiProvider(GeminiProvider):
    """The Gemini API of Google AI Studio."""

    type = "google_ai_studio_gemini"
    display_name = "Google AI Studio Gemini"
    null_tools = True
    final_usage_only = True
    parameter_order = ("top_p", "presence_penalty", "frequency_penalty", "max_tokens", "seed")

    def url(self, *, stream: bool) -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{BASE}{encode_path(self.config.options['model_name'])}:{method}"

    def auth_headers(self, key: str) -> list[tuple[str, str]]:
        return [("x-goog-api-key", key)]
