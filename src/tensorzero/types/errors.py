"""What can go wrong with a request, each kind with its name, status and text.

Kinds, statuses and texts are the contract's (native inference API, section 14). An error that
a caller made is a 4xx; what a provider or we did is a 5xx. Texts never hold a credential, and
prompts only in debug mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tensorzero.types.usage import ApiType, RawResponse


class GatewayError(Exception):
    """Base: ``kind`` is the name in ``error_json``, ``status`` the HTTP status."""

    kind: ClassVar[str] = "InternalError"
    status: int = 500
    retryable: bool = True
    errors: Sequence[GatewayError] = ()
    """Its causes, where it wraps several."""

    def __init__(self, text: str, /, **fields: Any) -> None:
        super().__init__(text)
        self.message = text
        self.fields = fields

    def __str__(self) -> str:
        return self.message

    def log_text(self) -> str:
        """What the log shows: never a prompt."""
        text = self.message
        for error in self.errors:
            text = text.replace(error.message, error.log_text())
        return text

    def to_json(self) -> Any:
        """``error_json``: the kind around its fields; a kind without fields is a bare string."""
        return {self.kind: self.fields} if self.fields else self.kind

    def raw_responses(self) -> list[RawResponse]:
        """Bodies of the failed attempts below this error, oldest first."""
        return []


class _MessageError(GatewayError):
    """A kind whose only field is its message."""

    prefix: ClassVar[str] = ""

    def __init__(self, message: str) -> None:
        super().__init__(self.prefix + message, message=message)


class InternalError(_MessageError):
    kind = "InternalError"
    prefix = "Internal error: "


class JsonRequest(_MessageError):
    kind = "JsonRequest"
    status = 400


class InvalidRequest(_MessageError):
    kind = "InvalidRequest"
    status = 400


class InvalidOpenAICompatibleRequest(_MessageError):
    kind = "InvalidOpenAICompatibleRequest"
    status = 400
    prefix = "Invalid request to OpenAI-compatible endpoint: "


class InvalidInferenceTarget(_MessageError):
    kind = "InvalidInferenceTarget"
    status = 400
    prefix = "Invalid inference target: "


class InvalidMessage(_MessageError):
    kind = "InvalidMessage"
    status = 400


class DynamicJsonSchema(_MessageError):
    kind = "DynamicJsonSchema"
    status = 400


class DynamicTemplateLoad(_MessageError):
    kind = "DynamicTemplateLoad"
    status = 400


class IncompatibleTool(_MessageError):
    kind = "IncompatibleTool"
    status = 400


class InvalidTool(_MessageError):
    """Tools asked for in a way that the provider has none."""

    kind = "InvalidTool"


class ConfigError(_MessageError):
    kind = "Config"


class InferenceError(_MessageError):
    kind = "Inference"


class InvalidFunctionVariants(_MessageError):
    kind = "InvalidFunctionVariants"


class ObservabilityUnavailable(_MessageError):
    """Recording is required and cannot take another row."""

    kind = "ObservabilityUnavailable"
    status = 503


class ClickHouseConnection(_MessageError):
    kind = "ClickHouseConnection"
    status = 503


class ClickHouseQuery(_MessageError):
    kind = "ClickHouseQuery"
    status = 500


class ClickHouseDeserialization(_MessageError):
    """A stored row that cannot be read."""

    kind = "ClickHouseDeserialization"
    status = 500
    prefix = "Error deserializing ClickHouse response: "


class UnsupportedContentBlockType(GatewayError):
    kind = "UnsupportedContentBlockType"
    status = 400

    def __init__(self, content_block_type: str, provider_type: str) -> None:
        super().__init__(
            f"Unsupported content block type `{content_block_type}` for provider `{provider_type}`",
            content_block_type=content_block_type,
            provider_type=provider_type,
        )


class JsonSchemaValidation(GatewayError):
    """An input that breaks its schema. ``data`` is shown in debug mode only."""

    kind = "JsonSchemaValidation"
    status = 400

    def __init__(
        self, message: str, *, schema: Any, data: Any, schema_text: str, data_text: str | None
    ) -> None:
        shown = "" if data_text is None else f"\n\nData:\n{data_text}"
        super().__init__(
            f"JSON Schema validation failed\n{message}{shown}\n\nSchema:\n{schema_text}",
            messages=[message],
            data=data if data_text is not None else None,
            schema=schema,
        )


class InvalidUuid(GatewayError):
    kind = "InvalidUuid"
    status = 400

    def __init__(self, raw_uuid: str) -> None:
        super().__init__(f"Failed to parse UUID as v7: {raw_uuid}", raw_uuid=raw_uuid)


class InvalidTensorzeroUuid(GatewayError):
    kind = "InvalidTensorzeroUuid"
    status = 400

    def __init__(self, uuid_kind: str, message: str) -> None:
        super().__init__(f"Invalid {uuid_kind} ID: {message}", kind=uuid_kind, message=message)


class InvalidWorkflowEvaluationRun(GatewayError):
    kind = "InvalidWorkflowEvaluationRun"
    status = 400

    def __init__(self, episode_id: str) -> None:
        super().__init__(
            f"Workflow evaluation run not found for episode id: {episode_id}",
            episode_id=episode_id,
        )


class ToolNotFound(GatewayError):
    kind = "ToolNotFound"
    status = 400

    def __init__(self, name: str) -> None:
        super().__init__(f"Tool not found: {name}", name=name)


class DuplicateTool(GatewayError):
    kind = "DuplicateTool"
    status = 400

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Duplicate tool name: {name}. Tool names must be unique among the tools of a call.",
            name=name,
        )


class UnknownFunction(GatewayError):
    kind = "UnknownFunction"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown function: {name}", name=name)


class InvalidMetricName(GatewayError):
    """A query names a metric that is not configured."""

    kind = "InvalidMetricName"
    status = 400

    def __init__(self, metric_name: str) -> None:
        super().__init__(f"Invalid metric name: {metric_name}", metric_name=metric_name)


class InvalidDatasetName(GatewayError):
    kind = "InvalidDatasetName"
    status = 400

    def __init__(self, dataset_name: str) -> None:
        super().__init__(
            f'Invalid dataset name: {dataset_name}. Datasets cannot be named "builder" or begin '
            'with "tensorzero::"',
            dataset_name=dataset_name,
        )


class DatapointNotFound(GatewayError):
    kind = "DatapointNotFound"
    status = 404

    def __init__(self, dataset_name: str, datapoint_id: str) -> None:
        super().__init__(
            f"Datapoint not found for dataset: {dataset_name} and id: {datapoint_id}",
            dataset_name=dataset_name,
            datapoint_id=datapoint_id,
        )


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


class UnknownModel(GatewayError):
    kind = "UnknownModel"

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown model: {name}", name=name)


class ModelNotFound(GatewayError):
    kind = "ModelNotFound"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Model not found: {name}", model_name=name)


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


class ProviderNotFound(GatewayError):
    kind = "ProviderNotFound"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Provider not found: {name}", provider_name=name)


class UnsupportedVariantForStreamingInference(GatewayError):
    kind = "UnsupportedVariantForStreamingInference"

    def __init__(self, variant_type: str) -> None:
        super().__init__(
            f"Variant type `{variant_type}` does not support streaming",
            variant_type=variant_type,
            issue_link=None,
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


class ObjectStoreWrite(_MessageError):
    kind = "ObjectStoreWrite"


class BadFileFetch(GatewayError):
    kind = "BadFileFetch"

    def __init__(self, url: str, message: str) -> None:
        super().__init__(f"Error fetching file from {url}: {message}", url=url, message=message)


class TemplateRender(GatewayError):
    """A template that failed while rendering; the text names its file, the cause, the line."""

    kind = "MiniJinjaTemplateRender"

    def __init__(self, template_name: str, message: str, located: str) -> None:
        super().__init__(message, template_name=template_name, message=message)
        self.located = located

    def log_text(self) -> str:
        """Without the values of variables, which the answer shows to whoever sent them."""
        return self.located


class TemplateMissing(GatewayError):
    kind = "MiniJinjaTemplateMissing"

    def __init__(self, template_name: str) -> None:
        super().__init__(f"Template not found: {template_name}", template_name=template_name)


class RouteNotFound(GatewayError):
    kind = "RouteNotFound"
    status = 404

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"Route not found: {method} {path}", path=path, method=method)


# --- below a model: what one provider attempt may raise -----------------------------------------


class ApiKeyMissing(GatewayError):
    kind = "ApiKeyMissing"
    status = 400

    def __init__(self, provider_name: str, message: str) -> None:
        super().__init__(
            f"API key missing for provider {provider_name}: {message}",
            provider_name=provider_name,
            message=message,
        )


class GCPCredentials(_MessageError):
    """No token for a GCP provider."""

    kind = "GCPCredentials"
    prefix = "Error in acquiring GCP credentials: "


class ExtraBodyReplacement(GatewayError):
    kind = "ExtraBodyReplacement"
    status = 400

    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(
            f"Error replacing extra body: `{message}` with pointer: `{pointer}`",
            message=message,
            pointer=pointer,
        )


class Serialization(_MessageError):
    kind = "Serialization"


class ProviderError(GatewayError):
    """A provider answered with an error, or with something that cannot be read."""

    def __init__(
        self,
        text: str,
        *,
        message: str,
        provider_type: str,
        api_type: ApiType,
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
        **fields: Any,
    ) -> None:
        if debug:
            if raw_request is not None:
                text += f"\nRaw request: {raw_request}"
            if raw_response is not None:
                text += f"\nRaw response: {raw_response}"
        super().__init__(
            text,
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request if debug else None,
            raw_response=raw_response if debug else None,
            **fields,
        )
        self.raw = (
            None if raw_response is None else RawResponse(provider_type, api_type, raw_response)
        )

    def raw_responses(self) -> list[RawResponse]:
        return [] if self.raw is None else [self.raw]


class InferenceClient(ProviderError):
    """The provider says that the request was at fault, or could not be reached."""

    kind = "InferenceClient"

    def __init__(
        self,
        message: str,
        *,
        provider_type: str,
        api_type: ApiType,
        status_code: int | None = None,
        reason: str = "",
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
    ) -> None:
        status_text = f"{status_code} {reason}".strip() + " " if status_code and not debug else ""
        super().__init__(
            f"Error {status_text}from {provider_type} client: {message}",
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=debug,
            status_code=status_code,
        )
        if status_code is not None:
            self.status = status_code


class InferenceServer(ProviderError):
    """The provider failed, or its answer cannot be read."""

    kind = "InferenceServer"

    def __init__(
        self,
        message: str,
        *,
        provider_type: str,
        api_type: ApiType,
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
    ) -> None:
        super().__init__(
            f"Error from {provider_type} server: {message}",
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=debug,
        )


class FatalStreamError(ProviderError):
    """A stream that broke and does not go on."""

    kind = "FatalStreamError"

    def __init__(
        self,
        message: str,
        *,
        provider_type: str,
        api_type: ApiType,
        raw_request: str | None = None,
        raw_response: str | None = None,
        debug: bool = False,
    ) -> None:
        super().__init__(
            f"Inference stream closed due to error from {provider_type} server: {message}",
            message=message,
            provider_type=provider_type,
            api_type=api_type,
            raw_request=raw_request,
            raw_response=raw_response,
            debug=debug,
        )


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


# --- wrappers -----------------------------------------------------------------------------------


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
