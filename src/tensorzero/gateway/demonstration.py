"""Demonstrations: what an inference should have answered, held against what it was asked for.

The schema and the tools of the recorded inference count, not those of today's function: the
contract's feedback page, 1.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tensorzero.config.function import FunctionConfig
from tensorzero.functions.output import JsonOutput
from tensorzero.functions.tools import prepare_tools
from tensorzero.gateway.fields import mapping, refuse_unknown, required, string
from tensorzero.gateway.tools_parser import (
    parse_additional_tools,
    parse_provider_tools,
    parse_tool_choice,
)
from tensorzero.types.content import CheckedToolCall, Text
from tensorzero.types.errors import ClickHouseQuery, InvalidRequest, JsonRequest
from tensorzero.types.schema import request_schema
from tensorzero.types.tools import FunctionTool, ToolCallConfig

BAD_BLOCK = "Invalid demonstration content block: "
_JUDGE_PREFIX = "tensorzero::llm_judge"


def chat_demonstration(value: Any, tools: ToolCallConfig | None) -> str:
    """The blocks as ``ChatInference.output`` has them; raises ``InvalidRequest``."""
    if type(value) is str:
        blocks: list[Text | CheckedToolCall] = [Text(value)]
    elif type(value) is list:
        blocks = [_block(entry) for entry in value]
    else:
        raise InvalidRequest("Demonstration must be a string or an array of content blocks")
    for block in blocks:
        if isinstance(block, CheckedToolCall):
            _check_call(block, tools)
    return _text([block.to_json() for block in blocks])


def _block(value: Any) -> Text | CheckedToolCall:
    try:
        table = mapping(value, "")
        kind = string(required(table, "type", ""), "type")
        if kind == "text":
            refuse_unknown(table, "", ("type", "text"))
            return Text(string(required(table, "text", ""), "text"))
        if kind != "tool_call":
            raise InvalidRequest(
                f"{BAD_BLOCK}unknown variant `{kind[:64]}`, expected `text` or `tool_call`"
            )
        arguments = required(table, "arguments", "")
        name = string(required(table, "name", ""), "name")
        id_ = string(required(table, "id", ""), "id")
        return CheckedToolCall(id_, name, _text(arguments), name, arguments)
    except JsonRequest as error:
        raise InvalidRequest(BAD_BLOCK + error.fields["message"]) from None


def _check_call(call: CheckedToolCall, tools: ToolCallConfig | None) -> None:
    tool = None if tools is None else tools.find(call.raw_name)
    if tool is None:
        raise InvalidRequest("Demonstration contains invalid tool name")
    if not isinstance(tool, FunctionTool) or not tool.parameters.is_valid(call.arguments):
        raise InvalidRequest("Demonstration contains invalid tool call arguments")


def recorded_tools(
    row: Mapping[str, Any], function: FunctionConfig, configured: Mapping[str, FunctionTool]
) -> ToolCallConfig | None:
    """The tools that a recorded inference offered; without tool data the function's own.

    Raises ``ToolNotFound`` and ``DuplicateTool`` where the configuration has changed since.
    """
    allowed = _column(row, "allowed_tools")
    explicit = type(allowed) is dict and allowed.get("choice") == "explicit"
    choice = row.get("tool_choice")
    try:
        return prepare_tools(
            function,
            configured,
            allowed=tuple(allowed["tools"]) if explicit else None,
            additional=parse_additional_tools(
                [orjson.loads(text) for text in row.get("dynamic_tools") or ()], "dynamic_tools"
            ),
            tool_choice=parse_tool_choice(_choice(choice), "tool_choice") if choice else None,
            parallel_tool_calls=None,
            provider_tools=parse_provider_tools(
                [orjson.loads(text) for text in row.get("dynamic_provider_tools") or ()],
                "dynamic_provider_tools",
            ),
        )
    except (ValueError, KeyError, TypeError, JsonRequest) as error:
        raise ClickHouseQuery(
            f"The recorded tools of the inference cannot be read: {error}"
        ) from None


def _choice(text: str) -> Any:
    return orjson.loads(text) if text.startswith("{") else text


def _column(row: Mapping[str, Any], name: str) -> Any:
    text = row.get(name)
    return orjson.loads(text) if text else None


def json_demonstration(value: Any, function_name: str, output_schema: str) -> str:
    """The value as ``JsonInference.output`` has it; raises ``InvalidRequest``."""
    try:
        schema = orjson.loads(output_schema)
    except ValueError:
        raise ClickHouseQuery("The recorded output schema of the inference is not JSON") from None
    if function_name.startswith(_JUDGE_PREFIX):
        schema = _judge_schema(schema)
    fault = request_schema(schema).first_error(value)
    if fault is not None:
        raise InvalidRequest(f"Demonstration does not fit function output schema: {fault}")
    return _text(JsonOutput(_text(value), value, []).to_json())


def _judge_schema(schema: Any) -> Any:
    """Judges once had to think in their answer too; people give a score alone."""
    if type(schema) is not dict or sorted(schema.get("required") or ()) != ["score", "thinking"]:
        return schema
    properties = schema.get("properties")
    score = properties.get("score") if type(properties) is dict else None
    return {
        **schema,
        "properties": {"score": {} if score is None else score},
        "required": ["score"],
    }


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
