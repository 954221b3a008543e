"""``type = "anthropic"``: the Messages API of Anthropic, and of every host that speaks it.

Source: the contract's page on Anthropic and Bedrock, section 2.
"""

from __future__ import annotations

from tensorzero.providers.http import join_api_base
from tensorzero.providers.messages_api.provider import MessagesProvider

VERSION = "2023-06-01"
MESSAGES = "/messages"
SERVICE_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only"}
LIMITS = {
    "claude-3-haiku*": 4096,
    "claude-3-opus*": 4096,
    "claude-3-5-haiku*": 8192,
    "claude-3-5-sonnet*": 8192,
    "claude-opus-4-202*": 32000,
    "claude-opus-4-0": 32000,
    "claude-opus-4-1-202*": 32000,
    "claude-opus-4-1": 32000,
    "claude-3-7-sonnet*": 64000,
    "claude-sonnet-4-202*": 64000,
    "claude-sonnet-4-0": 64000,
    "claude-haiku-4-5*": 64000,
    "claude-sonnet-4-5*": 64000,
    "claude-sonnet-4-6*": 64000,
    "claude-opus-4-5*": 64000,
    "claude-opus-4-6*": 128000,
}


class AnthropicProvider(MessagesProvider):
    """The Messages API."""

    type = "anthropic"
    display_name = warning_name = limit_name = "Anthropic"
    vendor_base = "https://api.anthropic.com/v1/"
    strict_tools = True
    writes_json = True
    parameters = ("temperature", "thinking", "top_p", "service_tier", "stop_sequences")
    service_tiers = SERVICE_TIERS
    output_limits = LIMITS

    def model(self) -> str:
        name: str = self.config.options["model_name"]
        return name

    def head(self) -> dict[str, str]:
        return {"model": self.model()}

    def url(self, *, stream: bool) -> str:
        base: str = self.config.options.get("api_base") or self.vendor_base
        shown, mark, query = base.partition("?")
        if shown.rstrip("/").endswith(MESSAGES):
            base = shown.rstrip("/").removesuffix(MESSAGES) + mark + query
        return join_api_base(base, "messages")

    def auth_headers(self, key: str) -> list[tuple[str, str]]:
        return [("x-api-key", key)]

    def fixed_headers(self) -> list[tuple[str, str]]:
        return [("anthropic-version", VERSION)]
