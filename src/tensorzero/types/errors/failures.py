"""Several errors in one: attempts, providers, variants that all failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tensorzero.types.errors.base import GatewayError
from tensorzero.types.usage import RawResponse


def _causes(errors: Sequence[GatewayError]) -> list[RawResponse]:
    return [raw for error in errors for raw in error.raw_responses()]


class AllModelProvidersFailed(GatewayError):
    """No provider of the model's routing answered; causes in routing order."""

    kind = "AllModelProvidersFailed"

    def __init__(self, provider_errors: Mapping[str, GatewayError]) -> None:
        causes = ", ".join(f"{name}: {error}" for name, error in provider_errors.items())
        super().__init__(
            f"All model providers failed to infer with errors: {causes}",
            provider_errors={name: error.to_json() for name, error in provider_errors.items()},
        )
        self.errors = list(provider_errors.values())
        self.retryable = any(error.retryable for error in self.errors)

    def raw_responses(self) -> list[RawResponse]:
        return _causes(self.errors)


class AllRetriesFailed(GatewayError):
    """Every attempt of a variant failed; only when there was more than one."""

    kind = "AllRetriesFailed"
    retryable = False

    def __init__(self, errors: Sequence[GatewayError]) -> None:
        super().__init__(
            "All retries failed with errors: " + ", ".join(str(error) for error in errors),
            errors=[error.to_json() for error in errors],
        )
        self.errors = list(errors)
        self.status = errors[-1].status

    def raw_responses(self) -> list[RawResponse]:
        return _causes(self.errors)


class AllVariantsFailed(GatewayError):
    """Every sampled variant failed; causes in the order in which they were tried."""

    kind = "AllVariantsFailed"
    status = 502

    def __init__(self, errors: Mapping[str, GatewayError]) -> None:
        causes = "\n".join(f"{name}: {error}" for name, error in errors.items())
        super().__init__(
            f"All variants failed with errors: {causes}",
            errors={name: error.to_json() for name, error in errors.items()},
        )
        self.errors = list(errors.values())

    def raw_responses(self) -> list[RawResponse]:
        return _causes(self.errors)
