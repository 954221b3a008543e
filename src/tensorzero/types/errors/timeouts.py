"""Configured deadlines that passed."""

from __future__ import annotations

from typing import ClassVar

from tensorzero.types.errors.base import GatewayError


def _duration_text(milliseconds: int) -> str:
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    return f"{milliseconds / 1000:g}s"


_TIMEOUT_FIELDS = {
    "non_streaming_total": "non_streaming.total_ms",
    "streaming_ttft": "streaming.ttft_ms",
    "streaming_total": "streaming.total_ms",
}


class TimeoutExceeded(GatewayError):
    """A configured deadline passed. ``timeout_kind`` names the setting."""

    status = 408
    level: ClassVar[str] = ""
    field: ClassVar[str] = ""

    def __init__(self, name: str, timeout_kind: str, timeout_ms: int) -> None:
        super().__init__(
            f"{self.level} `{name}` timed out due to configured "
            f"`{_TIMEOUT_FIELDS[timeout_kind]}` timeout ({_duration_text(timeout_ms)})",
            **{
                self.field: name,
                "timeout": {"secs": timeout_ms // 1000, "nanos": timeout_ms % 1000 * 1_000_000},
                "kind": timeout_kind,
            },
        )


class ModelProviderTimeout(TimeoutExceeded):
    kind = "ModelProviderTimeout"
    level = "Model provider"
    field = "provider_name"


class ModelTimeout(TimeoutExceeded):
    kind = "ModelTimeout"
    level = "Model"
    field = "model_name"


class VariantTimeout(TimeoutExceeded):
    kind = "VariantTimeout"
    level = "Variant"
    field = "variant_name"
