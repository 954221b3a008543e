"""Keys, and what else a provider is reached by."""

from __future__ import annotations

from tensorzero.types.errors.base import GatewayError, MessageError


class ApiKeyMissing(GatewayError):
    kind = "ApiKeyMissing"
    status = 400

    def __init__(self, provider_name: str, message: str) -> None:
        super().__init__(
            f"API key missing for provider {provider_name}: {message}",
            provider_name=provider_name,
            message=message,
        )


class GCPCredentials(MessageError):
    """No token for a GCP provider."""

    kind = "GCPCredentials"
    prefix = "Error in acquiring GCP credentials: "


class DynamicEndpointNotFound(GatewayError):
    kind = "DynamicEndpointNotFound"
    status = 404

    def __init__(self, key_name: str) -> None:
        super().__init__(
            f"Dynamic endpoint '{key_name}' not found in credentials", key_name=key_name
        )


class DynamicRegionNotFound(GatewayError):
    kind = "DynamicRegionNotFound"
    status = 404

    def __init__(self, key_name: str) -> None:
        super().__init__(f"Dynamic region '{key_name}' not found in credentials", key_name=key_name)


class InvalidDynamicEndpoint(GatewayError):
    kind = "InvalidDynamicEndpoint"
    status = 400

    def __init__(self, key_name: str) -> None:
        # The value is one of the request's credentials: it is not shown.
        super().__init__(
            f"Invalid dynamic endpoint URL: the value of `{key_name}` is no http or https URL",
            key_name=key_name,
        )
