"""What can go wrong with a request, each kind with its name, status and text.

Kinds, statuses and texts are the contract's (native inference API, section 14). An error that
a caller made is a 4xx; what a provider or we did is a 5xx. Texts never hold a credential, and
prompts only in debug mode.
"""

from tensorzero.types.errors.base import (
    GatewayError,
    InternalError,
)
from tensorzero.types.errors.credentials import (
    ApiKeyMissing,
    DynamicEndpointNotFound,
    DynamicRegionNotFound,
    GCPCredentials,
    InvalidDynamicEndpoint,
)
from tensorzero.types.errors.failures import (
    AllModelProvidersFailed,
    AllRetriesFailed,
    AllVariantsFailed,
)
from tensorzero.types.errors.files import (
    BadFileFetch,
    ObjectStoreUnconfigured,
    ObjectStoreWrite,
    UnsupportedContentBlockType,
)
from tensorzero.types.errors.names import (
    ConfigError,
    InvalidFunctionVariants,
    InvalidMetricName,
    ModelNotFound,
    ProviderNotFound,
    UnknownFunction,
    UnknownMetric,
    UnknownModel,
    UnknownVariant,
    UnsupportedVariantForStreamingInference,
)
from tensorzero.types.errors.providers import (
    ExtraBodyReplacement,
    FatalStreamError,
    InferenceClient,
    InferenceError,
    InferenceServer,
    ProviderError,
    Serialization,
)
from tensorzero.types.errors.recording import (
    ClickHouseConnection,
    ClickHouseDeserialization,
    ClickHouseQuery,
    DatapointNotFound,
    InvalidDatasetName,
    ObservabilityUnavailable,
)
from tensorzero.types.errors.requests import (
    DynamicJsonSchema,
    DynamicTemplateLoad,
    InvalidInferenceTarget,
    InvalidMessage,
    InvalidOpenAICompatibleRequest,
    InvalidRequest,
    InvalidTensorzeroUuid,
    InvalidUuid,
    InvalidWorkflowEvaluationRun,
    JsonRequest,
    JsonSchemaValidation,
    RouteNotFound,
)
from tensorzero.types.errors.templates import (
    TemplateMissing,
    TemplateRender,
)
from tensorzero.types.errors.timeouts import (
    ModelProviderTimeout,
    ModelTimeout,
    TimeoutExceeded,
    VariantTimeout,
)
from tensorzero.types.errors.tools import (
    DuplicateTool,
    IncompatibleTool,
    InvalidTool,
    ToolNotFound,
)

__all__ = [
    "AllModelProvidersFailed",
    "AllRetriesFailed",
    "AllVariantsFailed",
    "ApiKeyMissing",
    "BadFileFetch",
    "ClickHouseConnection",
    "ClickHouseDeserialization",
    "ClickHouseQuery",
    "ConfigError",
    "DatapointNotFound",
    "DuplicateTool",
    "DynamicEndpointNotFound",
    "DynamicJsonSchema",
    "DynamicRegionNotFound",
    "DynamicTemplateLoad",
    "ExtraBodyReplacement",
    "FatalStreamError",
    "GCPCredentials",
    "GatewayError",
    "IncompatibleTool",
    "InferenceClient",
    "InferenceError",
    "InferenceServer",
    "InternalError",
    "InvalidDatasetName",
    "InvalidDynamicEndpoint",
    "InvalidFunctionVariants",
    "InvalidInferenceTarget",
    "InvalidMessage",
    "InvalidMetricName",
    "InvalidOpenAICompatibleRequest",
    "InvalidRequest",
    "InvalidTensorzeroUuid",
    "InvalidTool",
    "InvalidUuid",
    "InvalidWorkflowEvaluationRun",
    "JsonRequest",
    "JsonSchemaValidation",
    "ModelNotFound",
    "ModelProviderTimeout",
    "ModelTimeout",
    "ObjectStoreUnconfigured",
    "ObjectStoreWrite",
    "ObservabilityUnavailable",
    "ProviderError",
    "ProviderNotFound",
    "RouteNotFound",
    "Serialization",
    "TemplateMissing",
    "TemplateRender",
    "TimeoutExceeded",
    "ToolNotFound",
    "UnknownFunction",
    "UnknownMetric",
    "UnknownModel",
    "UnknownVariant",
    "UnsupportedContentBlockType",
    "UnsupportedVariantForStreamingInference",
    "VariantTimeout",
]
