"""Functions, variants, metrics and models that a request or the config names."""

from __future__ import annotations

from tensorzero.types.errors.base import GatewayError, MessageError


class UnknownFunction(GatewayError):
    kind = "UnknownFunction"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown function: {name}", name=name)


class UnknownVariant(GatewayError):
    kind = "UnknownVariant"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown variant: {name}", name=name)


class UnknownMetric(GatewayError):
    kind = "UnknownMetric"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown metric: {name}", name=name)


class InvalidMetricName(GatewayError):
    """A query names a metric that is not configured."""

    kind = "InvalidMetricName"
    status = 400

    def __init__(self, metric_name: str) -> None:
        super().__init__(f"Invalid metric name: {metric_name}", metric_name=metric_name)


class UnknownModel(GatewayError):
    kind = "UnknownModel"

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown model: {name}", name=name)


class ModelNotFound(GatewayError):
    kind = "ModelNotFound"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Model not found: {name}", model_name=name)


class ProviderNotFound(GatewayError):
    kind = "ProviderNotFound"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Provider not found: {name}", provider_name=name)


class InvalidFunctionVariants(MessageError):
    kind = "InvalidFunctionVariants"


class UnsupportedVariantForStreamingInference(GatewayError):
    kind = "UnsupportedVariantForStreamingInference"

    def __init__(self, variant_type: str) -> None:
        super().__init__(
            f"Variant type `{variant_type}` does not support streaming",
            variant_type=variant_type,
            issue_link=None,
        )


class ConfigError(MessageError):
    kind = "Config"
