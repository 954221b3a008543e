"""``chat_completion``: render, merge parameters, call the model."""

from __future__ import annotations

from msgspec import Struct, field

from tensorzero.config.variant import ChatCompletionConfig
from tensorzero.models.model import Model, ModelStream
from tensorzero.types.errors import GatewayError, InvalidRequest, UnknownModel
from tensorzero.types.extra import applies_to_variant
from tensorzero.types.model import ModelRequest, ModelResult, ProviderJsonMode
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import AllowedTools, FunctionTool, ToolCallConfig
from tensorzero.types.usage import RawResponse
from tensorzero.variants.context import VariantContext
from tensorzero.variants.render import render_messages, render_system
from tensorzero.variants.retry import with_retries

RESPOND = "respond"
"""The implicit tool of ``json_mode = "tool"``."""


class VariantResult(Struct):
    """A variant's complete answer: its model results in order, and the merged parameters."""

    results: list[ModelResult]
    params: ChatCompletionParams
    failed_raw: list[RawResponse] = field(default_factory=list)


class VariantStream(Struct):
    """A variant's opened stream; ``previous`` are finished model results beside it."""

    stream: ModelStream
    params: ChatCompletionParams
    previous: list[ModelResult] = field(default_factory=list)
    failed_raw: list[RawResponse] = field(default_factory=list)


async def infer(config: ChatCompletionConfig, context: VariantContext) -> VariantResult:
    """A complete answer; raises ``GatewayError``."""
    model, request, params = prepare_call(config, context)
    if config.retries.num_retries == 0:
        result = await model.infer(request, context.credentials)
        return VariantResult([result], params, result.failed_raw)
    result, errors = await with_retries(
        lambda: model.infer(request, context.credentials), config.retries
    )
    return VariantResult([result], params, _raw(errors) + result.failed_raw)


async def open_stream(config: ChatCompletionConfig, context: VariantContext) -> VariantStream:
    """A stream whose first chunk has been read; raises ``GatewayError``."""
    model, request, params = prepare_call(config, context)
    stream, errors = await with_retries(
        lambda: model.stream(request, context.credentials), config.retries
    )
    return VariantStream(stream, params, [], _raw(errors) + stream.failed_raw)


def _raw(errors: list[GatewayError]) -> list[RawResponse]:
    return [raw for error in errors for raw in error.raw_responses()]


def prepare_call(
    config: ChatCompletionConfig, context: VariantContext
) -> tuple[Model, ModelRequest, ChatCompletionParams]:
    """The model, what it is asked, and the merged parameters; raises ``GatewayError``."""
    messages = render_messages(context.input, config.templates, context.templates)
    system = render_system(context.input, config.templates, context.templates)
    params = context.params.merged_over(config.params)
    mode, tools, schema = _json_mode(config, context)
    request = ModelRequest(
        messages=messages,
        system=system,
        tool_config=tools,
        params=params,
        stream=context.stream,
        json_mode=mode,
        function_type=context.function.type,
        output_schema=schema,
        variant_extra_body=config.extra_body,
        variant_extra_headers=config.extra_headers,
        inference_id=context.inference_id,
        files=context.files,
        clock=context.clock,
        fetch_files=context.fetch_files,
        early=context.early,
    )
    context.early = None
    if context.extra_body:
        request.extra_body = tuple(
            entry for entry in context.extra_body if applies_to_variant(entry, config.name)
        )
    if context.extra_headers:
        request.extra_headers = tuple(
            entry for entry in context.extra_headers if applies_to_variant(entry, config.name)
        )
    model = context.models.get(config.model)
    if model is None:
        raise UnknownModel(config.model)
    return model, request, params


def _json_mode(
    config: ChatCompletionConfig, context: VariantContext
) -> tuple[ProviderJsonMode, ToolCallConfig | None, JSONSchema | None]:
    mode = context.params.json_mode or config.params.json_mode
    schema = context.output_schema
    if context.function.type == "json":
        schema = schema or context.function.output_schema
        if mode == "tool":
            return "off", implicit_tool(schema), schema
        return mode or "strict", None, schema
    if mode == "tool":
        if schema is None:
            raise InvalidRequest('`json_mode = "tool"` in a chat function needs an `output_schema`')
        return "off", implicit_tool(schema), schema
    return mode or "off", context.tool_config, schema


def implicit_tool(schema: JSONSchema) -> ToolCallConfig:
    """The one forced tool of ``json_mode = "tool"``, with the schema as its parameters."""
    tool = FunctionTool(
        RESPOND, RESPOND, "Respond to the user using the given output schema.", schema
    )
    return ToolCallConfig(
        static_tools=(tool,),
        tool_choice={"specific": RESPOND},
        allowed_tools=AllowedTools((), "function_default"),
    )
