"""Holds what a datapoint brings against its function: input, output, tools, schema, files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec import UnsetType

from tensorzero.config.function import FunctionConfig
from tensorzero.functions.input import validate_input
from tensorzero.functions.output import check_tool_call
from tensorzero.functions.tools import prepare_tools
from tensorzero.gateway.datasets.request import Kind, RawOutput, ToolChanges
from tensorzero.gateway.files import RequestFiles, file_blocks
from tensorzero.gateway.prepare import DEFAULT_FUNCTION, MAX_FILE_BYTES
from tensorzero.gateway.services import Services
from tensorzero.gateway.stored.tools import NO_TOOLS, StoredTools
from tensorzero.gateway.tools_parser import parse_additional_tools
from tensorzero.types import json_text
from tensorzero.types.content import ChatBlock, CheckedToolCall, Input, ToolCall
from tensorzero.types.errors import DynamicJsonSchema, InvalidRequest, UnknownFunction
from tensorzero.types.schema import JSONSchema, SchemaError
from tensorzero.types.tools import ToolCallConfig

FILES_AT_ONCE = 16

T = TypeVar("T")


def find_function(name: str, services: Services) -> FunctionConfig:
    """Raises ``UnknownFunction``."""
    if name == DEFAULT_FUNCTION:
        return FunctionConfig(DEFAULT_FUNCTION, "chat", {})
    function = services.config.functions.get(name)
    if function is None:
        raise UnknownFunction(name)
    return function


def find_function_of(kind: Kind, name: str, services: Services) -> FunctionConfig:
    """Raises ``UnknownFunction``, and ``InvalidRequest`` for one of the other type."""
    function = find_function(name, services)
    if function.type != kind:
        wanted = "chat" if kind == "chat" else "JSON"
        raise InvalidRequest(f"Function '{name}' is not configured as a {wanted} function")
    return function


def check_input(function: FunctionConfig, given: Input, services: Services) -> None:
    """Raises ``InvalidMessage``, ``JsonSchemaValidation`` and ``ObjectStoreUnconfigured``."""
    validate_input(function, given, debug=services.config.gateway.debug)
    if file_blocks(given):
        _files(services).prepare(given, decided=services.store_decided, records=False)


async def store_files(inputs: Sequence[Input], services: Services) -> None:
    """Make every file a pointer into the store; raises what ``store_or_refuse`` raises."""
    waiting = [given for given in inputs if file_blocks(given)]
    free = asyncio.Semaphore(FILES_AT_ONCE)

    async def store(given: Input) -> None:
        async with free:
            await _files(services).store_or_refuse(given)

    tasks = [asyncio.ensure_future(store(given)) for given in waiting]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _files(services: Services) -> RequestFiles:
    return RequestFiles(services.models.context.pool, services.store, MAX_FILE_BYTES)


def compile_schema(value: Any) -> JSONSchema:
    """Raises ``DynamicJsonSchema``."""
    try:
        return JSONSchema(value)
    except SchemaError as error:
        raise DynamicJsonSchema(
            f"Error in compiling client-provided JSON schema: {error}"
        ) from None


def json_columns(output: RawOutput, schema: JSONSchema) -> dict[str, Any]:
    """The stored output: ``parsed`` only if the text is JSON and fits."""
    parsed = None
    if output.raw is not None:
        try:
            value = json_text.loads(output.raw)
        except ValueError:
            pass
        else:
            parsed = value if schema.is_valid(value) else None
    return {"raw": output.raw, "parsed": parsed}


def checked_blocks(blocks: list[ChatBlock], tools: ToolCallConfig | None) -> list[Any]:
    """The stored output: names and arguments of tool calls are what the tools make of them."""
    return [
        check_tool_call(ToolCall(block.id, block.raw_name, block.raw_arguments), tools).to_json()
        if isinstance(block, CheckedToolCall)
        else block.to_json()
        for block in blocks
    ]


def assemble_tools(
    function: FunctionConfig,
    services: Services,
    stored: StoredTools = NO_TOOLS,
    changes: ToolChanges | None = None,
) -> ToolCallConfig | None:
    """What is stored and what changes, by the running config; ``None``: no tools.

    Raises ``ToolNotFound`` and ``DuplicateTool``.
    """
    changes = changes or ToolChanges()
    additional = changes.additional_tools
    if isinstance(additional, UnsetType):
        additional = parse_additional_tools(list(stored.additional_tools), "additional_tools")
    return prepare_tools(
        function,
        services.config.tools,
        allowed=_chosen(changes.allowed_tools, stored.explicitly_allowed),
        additional=additional,
        tool_choice=_chosen(changes.tool_choice, stored.tool_choice),
        parallel_tool_calls=_chosen(changes.parallel_tool_calls, stored.parallel_tool_calls),
        provider_tools=(
            stored.provider_tools
            if isinstance(changes.provider_tools, UnsetType)
            else changes.provider_tools
        ),
    )


def _chosen(change: T | UnsetType, stored: T) -> T:
    return stored if isinstance(change, UnsetType) else change
