"""What can go wrong with a batch: the contract's feedback and workflows page, section 3."""

from __future__ import annotations

from tensorzero.types.errors.base import GatewayError


class BatchInputValidation(GatewayError):
    """One input of a batch is refused."""

    kind = "BatchInputValidation"
    status = 400

    def __init__(self, index: int, message: str) -> None:
        super().__init__(
            f"Input at index {index} failed validation: {message}", index=index, message=message
        )


class BatchNotFound(GatewayError):
    """No such batch, or no such inference in it."""

    kind = "BatchNotFound"
    status = 404

    def __init__(self, id_: str) -> None:
        super().__init__(f"Batch request not found for id: {id_}", id=id_)


class BatchInferenceNotFound(GatewayError):
    """An inference of a completed batch that has no result."""

    kind = "InferenceNotFound"
    status = 404

    def __init__(self, inference_id: str) -> None:
        super().__init__(f"Inference not found for id: {inference_id}", inference_id=inference_id)


class InvalidBatchParams(GatewayError):
    """What a batch's row says about it is not what its provider wrote."""

    kind = "InvalidBatchParams"
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(
            f"Invalid batch params retrieved from database: {message}", message=message
        )


class MissingBatchInferenceResponse(GatewayError):
    """A completed batch without any result."""

    kind = "MissingBatchInferenceResponse"
    status = 400

    def __init__(self) -> None:
        super().__init__("Missing batch inference response")


class UnsupportedVariantForBatchInference(GatewayError):
    kind = "UnsupportedVariantForBatchInference"
    status = 400

    def __init__(self, variant_name: str) -> None:
        super().__init__("Unsupported variant for batch inference", variant_name=variant_name)


class UnsupportedModelProviderForBatchInference(GatewayError):
    kind = "UnsupportedModelProviderForBatchInference"
    retryable = False

    def __init__(self, provider_type: str) -> None:
        super().__init__(
            f"Unsupported model provider for batch inference: {provider_type}",
            provider_type=provider_type,
        )


class InvalidModel(GatewayError):
    """The model of a batch is not configured any more."""

    kind = "InvalidModel"

    def __init__(self, model_name: str) -> None:
        super().__init__(f"Invalid model: {model_name}", model_name=model_name)


class InvalidModelProvider(GatewayError):
    """The provider of a batch is not configured any more."""

    kind = "InvalidModelProvider"

    def __init__(self, model_name: str, provider_name: str) -> None:
        super().__init__(
            f"Invalid model provider: {provider_name} for model: {model_name}",
            model_name=model_name,
            provider_name=provider_name,
        )
