"""Content blocks and the files in them."""

from __future__ import annotations

from tensorzero.types.errors.base import GatewayError, MessageError


class UnsupportedContentBlockType(GatewayError):
    kind = "UnsupportedContentBlockType"
    status = 400

    def __init__(self, content_block_type: str, provider_type: str) -> None:
        super().__init__(
            f"Unsupported content block type `{content_block_type}` for provider `{provider_type}`",
            content_block_type=content_block_type,
            provider_type=provider_type,
        )


class ObjectStoreUnconfigured(GatewayError):
    kind = "ObjectStoreUnconfigured"

    def __init__(self, block_type: str) -> None:
        super().__init__(
            f"A `{block_type}` block needs object storage, and none is configured. Add "
            '`[object_storage]` to the config, or `type = "disabled"` there to send files without '
            "storing them.",
            block_type=block_type,
        )


class ObjectStoreWrite(MessageError):
    kind = "ObjectStoreWrite"


class BadFileFetch(GatewayError):
    kind = "BadFileFetch"

    def __init__(self, url: str, message: str) -> None:
        super().__init__(f"Error fetching file from {url}: {message}", url=url, message=message)
