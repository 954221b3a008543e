"""``infer``: one inference from request to answer and rows.

An inference belongs to no connection: it runs to its end and is recorded whether or not its
caller is still there. Order of steps: the contract's native inference API, section 6.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from tensorzero.config.config import Config
from tensorzero.config.dynamic import load_dynamic_variant
from tensorzero.config.function import FunctionConfig
from tensorzero.config.variant import ChatCompletionConfig, VariantConfig
from tensorzero.functions.input import validate_input
from tensorzero.functions.merge import StreamMerger
from tensorzero.functions.output import JsonOutput, chat_output, json_output
from tensorzero.functions.tools import prepare_tools
from tensorzero.gateway import answer
from tensorzero.gateway.episode import check_episode_id
from tensorzero.gateway.files import ObjectStore, RequestFiles, file_blocks
from tensorzero.gateway.recorder import Recorder
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.rows import (
    CHAT_INFERENCE,
    JSON_INFERENCE,
    MODEL_INFERENCE,
    InferenceRow,
    model_row,
)
from tensorzero.models.cost import stream_cost
from tensorzero.models.deadline import bounded, bounded_stream
from tensorzero.models.table import ModelTable
from tensorzero.types.content import ChatBlock
from tensorzero.types.errors import (
    AllVariantsFailed,
    ConfigError,
    DynamicJsonSchema,
    GatewayError,
    InvalidFunctionVariants,
    InvalidInferenceTarget,
    InvalidRequest,
    ProviderError,
    UnknownFunction,
    UnknownVariant,
    VariantTimeout,
)
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.model import (
    ChunkBlock,
    ModelResult,
    ProviderChunk,
    ProviderResponse,
    TextChunk,
    ToolCallChunk,
)
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import JSONSchema, SchemaError
from tensorzero.types.tools import ToolCallConfig
from tensorzero.types.usage import RawResponse, total_usage
from tensorzero.variants import chat_completion
from tensorzero.variants.chat_completion import VariantResult, VariantStream
from tensorzero.variants.context import VariantContext
from tensorzero.variants.sampling import VariantSampler
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)

DEFAULT_FUNCTION = "tensorzero::default"
DYNAMIC_VARIANT = "tensorzero::dynamic_variant"
RESERVED = "tensorzero::"
MAX_FILE_BYTES = 104_857_600


class WorkflowRuns(Protocol):
    """Looks up the episodes of workflow-evaluation runs."""

    async def find(self, episode_id: str) -> WorkflowEpisode:
        """Raises ``InvalidWorkflowEvaluationRun`` when there is none, ``ClickHouseConnection``
        when the database cannot be asked."""


@dataclass(frozen=True, slots=True)
class WorkflowEpisode:
    """An episode of a run: which variants it pins, the tags it brings, the run's id."""

    run_id: str
    variant_pins: dict[str, str]
    tags: dict[str, str]


@dataclass(slots=True)
class Services:
    """What inferences share in one worker; made once, in ``server``."""

    config: Config
    models: ModelTable
    recorder: Recorder
    records: bool
    store: ObjectStore | None
    store_decided: bool
    workflow_runs: WorkflowRuns
    waits_for_database: bool = False


@dataclass(slots=True)
class Inference:
    """A request on its way: what was decided before a variant runs, and what came of it."""

    request: InferenceRequest
    services: Services
    received_at: float
    id: str = ""
    episode_id: str = ""
    function: FunctionConfig = field(default=None)  # type: ignore[assignment]  # set by prepare
    variants: dict[str, VariantConfig] = field(default_factory=dict)
    pinned: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    tools: ToolCallConfig | None = None
    schema: JSONSchema | None = None
    schema_broken: bool = False
    context: VariantContext = field(default=None)  # type: ignore[assignment]  # set by prepare
    files: RequestFiles | None = None

    @property
    def implicit_tool(self) -> bool:
        return self.request.params.json_mode == "tool"

    def answer_schema(self) -> JSONSchema | None:
        """What a json answer is held against; ``None`` when the request's does not compile."""
        if self.schema_broken:
            return None
        return self.schema or self.function.output_schema


@dataclass(slots=True)
class Answer:
    """A complete answer, and where its rows are."""

    body: dict[str, Any]
    position: object | None


async def prepare(request: InferenceRequest, services: Services, received_at: float) -> Inference:
    """Steps that can refuse a request before any provider is called or anything is recorded."""
    inference = Inference(request, services, received_at)
    tags = dict(request.tags)
    if request.internal:
        tags["tensorzero::internal"] = "true"
    else:
        for key in tags:
            if key.startswith(RESERVED):
                raise InvalidRequest(f"Tag name cannot start with 'tensorzero::': {key}")
    inference.tags = tags
    inference.id = uuid7()
    pinned = request.variant_name
    if request.episode_id is None:
        inference.episode_id = uuid7()
    else:
        inference.episode_id = request.episode_id
        if check_episode_id(request.episode_id):
            pinned = await _join_workflow_run(inference, pinned)
    if request.namespace is not None:
        tags["tensorzero::namespace"] = request.namespace
    inference.pinned = pinned
    _resolve_target(inference)
    _check_json_mode(inference)
    validate_input(inference.function, request.input, debug=services.config.gateway.debug)
    _check_filters(inference)
    dynamic = request.dynamic_variant
    if dynamic is not None and not request.dryrun:
        raise InvalidRequest("`internal_dynamic_variant_config` is only available with `dryrun`")
    inference.tools = prepare_tools(
        inference.function,
        services.config.tools,
        allowed=request.allowed_tools,
        additional=request.additional_tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
        provider_tools=request.provider_tools,
    )
    templates = services.config.templates
    if dynamic is not None:
        config, templates = load_dynamic_variant(services.config, inference.function, dynamic)
        inference.variants = {DYNAMIC_VARIANT: config}
        inference.pinned = DYNAMIC_VARIANT
    elif inference.pinned is not None:
        if inference.pinned not in inference.variants:
            raise UnknownVariant(inference.pinned)
        tags["tensorzero::variant_pinned"] = inference.pinned
    _check_namespaces(inference)
    if request.include_aggregated_response and not request.stream:
        raise InvalidRequest("`include_aggregated_response` needs `stream: true`")
    if not request.dryrun:
        services.recorder.check()
    if file_blocks(request.input):
        inference.files = RequestFiles(services.models.context.pool, services.store, MAX_FILE_BYTES)
        inference.files.prepare(request.input, stores=services.store_decided)
    inference.context = VariantContext(
        inference.function,
        request.input,
        inference.id,
        inference.episode_id,
        services.models,
        templates,
        request.params,
        inference.tools,
        inference.schema,
        request.extra_body,
        request.extra_headers,
        request.credentials,
        inference.files,
        services.config.gateway.fetch_and_encode_input_files_before_inference,
        request.stream,
    )
    return inference


async def _join_workflow_run(inference: Inference, pinned: str | None) -> str | None:
    episode = await inference.services.workflow_runs.find(inference.episode_id)
    for key, value in episode.tags.items():
        inference.tags.setdefault(key, value)
    inference.tags["tensorzero::dynamic_evaluation_run_id"] = episode.run_id
    inference.tags["tensorzero::workflow_evaluation_run_id"] = episode.run_id
    wanted = episode.variant_pins.get(inference.request.function_name or "")
    if wanted is not None and pinned is not None:
        log.warning("the request pins a variant that the workflow run pins too; the request wins")
    return pinned or wanted


def _resolve_target(inference: Inference) -> None:
    request, services = inference.request, inference.services
    config = services.config
    name, model = request.function_name, request.model_name
    if name is None and model is None:
        raise InvalidInferenceTarget("Either `function_name` or `model_name` must be given")
    if name is not None and model is not None:
        raise InvalidInferenceTarget("Only one of `function_name` and `model_name` can be given")
    if model is not None:
        if request.variant_name is not None:
            raise InvalidInferenceTarget("`variant_name` cannot be given with `model_name`")
        if request.dynamic_variant is not None:
            raise InvalidInferenceTarget(
                "`internal_dynamic_variant_config` cannot be given with `model_name`"
            )
        if not services.models.exists(model):
            raise InvalidInferenceTarget(
                f"Invalid model name: Model name '{model}' not found in model table"
            )
        inference.variants = {model: ChatCompletionConfig(model, model)}
        inference.function = FunctionConfig(DEFAULT_FUNCTION, "chat", inference.variants)
    elif name == DEFAULT_FUNCTION:
        inference.function = FunctionConfig(DEFAULT_FUNCTION, "chat", {})
    else:
        function = config.functions.get(name or "")
        if function is None:
            raise UnknownFunction(name or "")
        inference.function = function
        inference.variants = dict(function.variants)
    if not inference.variants and request.dynamic_variant is None:
        raise InvalidFunctionVariants(f"Function `{inference.function.name}` has no variants")
    if request.output_schema is not None:
        try:
            inference.schema = JSONSchema(request.output_schema)
        except SchemaError as error:
            if inference.function.type != "json":
                raise DynamicJsonSchema(f"`output_schema` does not compile: {error}") from None
            inference.schema_broken = True
            log.warning("the request's `output_schema` does not compile: %s", error)
            inference.schema = JSONSchema(True)
            inference.schema.value = request.output_schema


def _check_json_mode(inference: Inference) -> None:
    """What ``json_mode = "tool"`` asks of a chat function."""
    request, function = inference.request, inference.function
    if request.params.json_mode != "tool" or function.type != "chat":
        return
    if function.tools or function.tool_choice != "auto" or function.parallel_tool_calls is not None:
        raise InvalidRequest(
            '`json_mode = "tool"` is not available in a chat function with tool settings'
        )
    if request.output_schema is None:
        raise InvalidRequest('`json_mode = "tool"` in a chat function needs an `output_schema`')
    given = (
        request.allowed_tools,
        request.additional_tools,
        request.tool_choice,
        request.parallel_tool_calls,
        request.provider_tools or None,
    )
    if any(value is not None for value in given):
        raise InvalidRequest('`json_mode = "tool"` cannot be combined with tool fields')


def _check_filters(inference: Inference) -> None:
    request, models = inference.request, inference.services.models
    entries: list[ExtraBody | ExtraHeader] = [*request.extra_body, *request.extra_headers]
    for entry in entries:
        if entry.variant_name is not None and entry.variant_name not in inference.variants:
            raise UnknownVariant(entry.variant_name)
        if entry.model_name is None:
            continue
        if not models.exists(entry.model_name):
            raise InvalidInferenceTarget(
                f"Invalid model name in a filter: Model name '{entry.model_name}' not found in "
                "model table"
            )
        provider = entry.provider_name
        if provider is not None and provider not in models.provider_names(entry.model_name):
            raise InvalidInferenceTarget(
                f"Invalid filter: model `{entry.model_name}` has no provider `{provider}`"
            )


def _check_namespaces(inference: Inference) -> None:
    """A namespaced model is for requests of that namespace (pinned and direct calls)."""
    if inference.pinned is None and inference.request.model_name is None:
        return
    names = [inference.pinned] if inference.pinned is not None else list(inference.variants)
    given = inference.request.namespace
    for name in names:
        variant = inference.variants[name]
        if variant.namespace is not None and variant.namespace != given:
            raise _namespace_mismatch("Variant", name, variant.namespace, given)
        model_name = getattr(variant, "model", None)
        model = inference.services.config.models.get(model_name or "")
        if model is not None and model.namespace is not None and model.namespace != given:
            raise _namespace_mismatch("Model", model.name, model.namespace, given)


def _namespace_mismatch(kind: str, name: str, own: str, given: str | None) -> InvalidRequest:
    return InvalidRequest(
        f"{kind} `{name}` has namespace `{own}`, but the request namespace is `{given}`. "
        f"Namespaced {kind.lower()}s can only be used with a matching namespace."
    )


def served(config: Config, function: FunctionConfig, name: str) -> bool:
    """Whether this version can run the variant."""
    return (function.name, name) not in config.unserved_variants


def _unserved(name: str, variant: VariantConfig) -> GatewayError:
    return ConfigError(
        f"Variant `{name}` has the type `{variant.type}`, which this version does not serve yet"
    )


async def _run_variants(
    inference: Inference, *, stream: bool
) -> tuple[str, VariantResult | VariantStream, list[RawResponse]]:
    """The first variant that answers: its name, its answer, raw bodies of failed ones."""
    config = inference.services.config
    if inference.pinned is not None:
        name = inference.pinned
        variant = inference.variants[name]
        if not served(config, inference.function, name):
            raise _unserved(name, variant)
        return name, await _run(variant, inference, stream), []
    active = [
        name
        for name in sorted(inference.variants, key=str.encode)
        if served(config, inference.function, name)
    ]
    sampler = VariantSampler(
        inference.function, active, inference.episode_id, inference.request.namespace
    )
    errors: dict[str, GatewayError] = {}
    while True:
        try:
            name = sampler.next()
        except InvalidFunctionVariants:
            if not errors:
                raise
            raise _all_failed(errors) from None
        try:
            result = await _run(inference.variants[name], inference, stream)
        except GatewayError as error:
            log.warning("variant `%s` failed: %s", name, error)
            errors[name] = error
            continue
        failed = [raw for error in errors.values() for raw in error.raw_responses()]
        return name, result, failed


def _all_failed(errors: dict[str, GatewayError]) -> AllVariantsFailed:
    return AllVariantsFailed(errors)


async def _run(
    variant: VariantConfig, inference: Inference, stream: bool
) -> VariantResult | VariantStream:
    if not isinstance(variant, ChatCompletionConfig) or variant.type != "chat_completion":
        raise _unserved(variant.name, variant)
    if stream:
        return await bounded(
            chat_completion.open_stream(variant, inference.context),
            variant.timeouts,
            stream=True,
            error=VariantTimeout,
            name=variant.name,
        )
    if variant.timeouts.non_streaming_total_ms is None:
        return await chat_completion.infer(variant, inference.context)
    return await bounded(
        chat_completion.infer(variant, inference.context),
        variant.timeouts,
        stream=False,
        error=VariantTimeout,
        name=variant.name,
    )


async def infer(inference: Inference) -> Answer:
    """Run to a complete answer and record it; raises ``GatewayError``."""
    name, result, failed_variants = await _run_variants(inference, stream=False)
    if not isinstance(result, VariantResult):
        raise TypeError("a variant streamed where it should not")
    request = inference.request
    results = result.results
    last = results[-1].response
    output = _output(inference, last)
    body = answer.head(inference.id, inference.episode_id, name)
    body.update(answer.output_fields(output))
    usage = total_usage([entry.response.usage for entry in results])
    body["usage"] = usage.to_json()
    if request.include_raw_usage:
        body["raw_usage"] = answer.raw_usage_entries(results)
    if request.include_original_response:
        body["original_response"] = last.raw_response
    if request.include_raw_response:
        body["raw_response"] = answer.raw_response_entries(
            results, failed_variants + result.failed_raw
        )
    if last.finish_reason is not None:
        body["finish_reason"] = last.finish_reason
    position = await _record(inference, name, output, results, result.params, None)
    return Answer(body, position)


def _output(inference: Inference, response: ProviderResponse) -> list[ChatBlock] | JsonOutput:
    if inference.function.type == "json":
        return json_output(response.output, inference.answer_schema())
    return chat_output(response.output, inference.tools, implicit_tool=inference.implicit_tool)


async def _record(
    inference: Inference,
    variant_name: str,
    output: list[ChatBlock] | JsonOutput,
    results: list[ModelResult],
    params: ChatCompletionParams,
    ttft_ms: int | None,
) -> object | None:
    services = inference.services
    if inference.request.dryrun or not services.records:
        return None
    if inference.files is not None:
        await inference.files.store_all(inference.request.input)
    snapshot_hash = services.config.snapshot.hash
    row = InferenceRow(
        inference_id=inference.id,
        function_name=inference.function.name,
        variant_name=variant_name,
        episode_id=inference.episode_id,
        given=inference.request.input,
        params=params,
        processing_time_ms=int((monotonic() - inference.received_at) * 1000),
        ttft_ms=ttft_ms,
        tags=inference.tags,
        extra_body=inference.request.extra_body,
        snapshot_hash=snapshot_hash,
    )
    if isinstance(output, JsonOutput):
        schema = inference.schema or inference.function.output_schema
        rows = [(JSON_INFERENCE, row.json(output, schema))]
    else:
        rows = [(CHAT_INFERENCE, row.chat(output, inference.tools))]
    for result in results:
        rows.append(
            (
                MODEL_INFERENCE,
                model_row(
                    result,
                    inference_id=inference.id,
                    function_name=inference.function.name,
                    variant_name=variant_name,
                    snapshot_hash=snapshot_hash,
                ),
            )
        )
    position = services.recorder.append(rows)
    if services.waits_for_database:
        await services.recorder.flushed(position)
    return position


class InferenceStream:
    """A streamed inference: opened before the status is sent, then a series of chunks.

    Iterate ``chunks`` to its end whether or not anybody listens: the record is written by it.
    """

    def __init__(
        self,
        inference: Inference,
        variant_name: str,
        opened: VariantStream,
        failed_raw: list[RawResponse],
        ttft_ms: int,
        ends_at: float | None,
    ) -> None:
        self.inference = inference
        self.variant_name = variant_name
        self.opened = opened
        self.failed_raw = failed_raw
        self.ttft_ms = ttft_ms
        self.ends_at = ends_at
        self.head = answer.head(inference.id, inference.episode_id, variant_name)
        self.json = inference.function.type == "json"

    def _chunk(self, blocks: list[dict[str, Any]], raw: str = "") -> dict[str, Any]:
        if self.json:
            return {**self.head, "raw": raw}
        return {**self.head, "content": blocks}

    async def chunks(self) -> AsyncIterator[dict[str, Any]]:
        """Every frame's content in order, error frames included; the last carries the usage."""
        request = self.inference.request
        stream = self.opened.stream
        if self.failed_raw and request.include_raw_response:
            early = self._chunk([])
            early["raw_response"] = [raw.to_json() for raw in self.failed_raw]
            yield early
        merger = StreamMerger(json=self.json)
        items = stream.items
        timeouts = self._timeouts()
        if self.ends_at is not None and timeouts is not None:
            expired = VariantTimeout(self.variant_name, "streaming_total", timeouts)
            items = bounded_stream(items, self.ends_at, expired)
        async for item in items:
            if isinstance(item, ProviderChunk):
                delta = merger.add(item)
                frame = self._frame(item, delta)
                if frame is not None:
                    yield frame
            else:
                log.error("error in a stream: %s", item)
                yield self._error_frame(item)
        for last in await self._finish(merger):
            yield last

    def _timeouts(self) -> int | None:
        variant = self.inference.variants[self.variant_name]
        return variant.timeouts.streaming_total_ms

    def _frame(self, item: ProviderChunk, delta: str | None) -> dict[str, Any] | None:
        request = self.inference.request
        raw_usage = item.raw_usage if request.include_raw_usage else None
        wants_raw = request.include_raw_response or request.include_original_response
        if self.json:
            if not delta and raw_usage is None and not wants_raw:
                return None
            frame = self._chunk([], delta or "")
        else:
            if not item.content and raw_usage is None and not wants_raw:
                return None
            frame = self._chunk([self._block(block) for block in item.content])
        if raw_usage is not None:
            frame["raw_usage"] = [raw_usage.to_json()]
        if request.include_original_response:
            frame["original_chunk"] = item.raw
        if request.include_raw_response:
            frame["raw_chunk"] = item.raw
        return frame

    def _block(self, block: ChunkBlock) -> dict[str, Any]:
        if self.inference.implicit_tool and isinstance(block, ToolCallChunk):
            return TextChunk(block.id, block.raw_arguments).to_json()
        return block.to_json()

    def _error_frame(self, error: GatewayError) -> dict[str, Any]:
        frame: dict[str, Any] = {"error": str(error)}
        if self.inference.services.config.gateway.unstable_error_json:
            frame["error_json"] = error.to_json()
        if self.inference.request.include_raw_response and isinstance(error, ProviderError):
            raw = error.raw
            if raw is not None:
                frame["raw_chunk"] = raw.data
        return frame

    async def _finish(self, merger: StreamMerger) -> list[dict[str, Any]]:
        stream = self.opened.stream
        inference = self.inference
        merger.usage.cost = stream_cost(stream.route.config.cost, merger.events)
        response = ProviderResponse(
            stream.model_inference_id,
            merger.output(),
            stream.raw_request,
            merger.raw_response(),
            merger.usage,
            merger.raw_usage,
            merger.finish_reason,
            int((monotonic() - stream.started) * 1000),
            stream.messages,
            stream.system,
            stream.ttft_ms,
        )
        result = ModelResult(
            response, stream.model_name, stream.route.config.name, stream.route.provider.type
        )
        results = [result, *self.opened.previous]
        output = _output(inference, response)
        final = self._chunk([])
        usage = total_usage([entry.response.usage for entry in results])
        final.update(answer.final_fields(usage, merger.finish_reason))
        if inference.request.include_aggregated_response:
            if isinstance(output, JsonOutput):
                final["aggregated_response"] = output.to_json()
            else:
                final["aggregated_response"] = [block.to_json() for block in output]
        await _record(
            inference, self.variant_name, output, results, self.opened.params, self.ttft_ms
        )
        return [final]


async def open_stream(inference: Inference) -> InferenceStream:
    """Run until the first chunk of a provider is there; raises ``GatewayError``."""
    import asyncio

    started = asyncio.get_running_loop().time()
    name, opened, failed = await _run_variants(inference, stream=True)
    if not isinstance(opened, VariantStream):
        raise TypeError("a variant answered at once where it should stream")
    ttft_ms = int((monotonic() - inference.received_at) * 1000)
    total = inference.variants[name].timeouts.streaming_total_ms
    ends_at = None if total is None else started + total / 1000
    return InferenceStream(inference, name, opened, failed + opened.failed_raw, ttft_ms, ends_at)
