"""What a dummy model says: its behaviour applied to one request."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.dummy.instance import fitting_instance
from tensorzero.providers.extra import extra_headers
from tensorzero.types.content import Message, OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.dummy import DummyModel, fill_template
from tensorzero.types.errors import IncompatibleTool
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.schema import ANY_JSON, JSONSchema
from tensorzero.types.usage import Usage

DEFAULT_TEXT = (
    "This answer comes from the built-in dummy provider: nothing was sent anywhere, and no key "
    "is needed."
)
THOUGHT = "The user expects a short answer."
INVALID_JSON = "this is { not JSON"


@lru_cache(maxsize=256)
def _json_of(schema: JSONSchema) -> str:
    return orjson.dumps(fitting_instance(schema)).decode()


def make_output(
    model: DummyModel,
    config: ProviderConfig,
    request: ModelRequest,
    attempt: Attempt,
    messages: list[Message],
    call: int,
) -> list[OutputBlock]:
    """The answer's blocks. ``call`` counts the calls of this provider from 1.

    Raises ``IncompatibleTool`` for a tool call without a tool to call.
    """
    options = model.options
    behaviour = model.behaviour
    if behaviour == "tool_call" or (behaviour == "json" and _is_forced(request)):
        return _tool_calls(model, request)
    if behaviour == "echo":
        return [Text(last_user_text(messages))]
    if behaviour == "json":
        return [Text(options.get("value") or _json_of(request.output_schema or ANY_JSON))]
    if behaviour == "invalid_json":
        return [Text(INVALID_JSON)]
    if behaviour == "empty":
        return [Text("")]
    if behaviour == "none":
        return []
    if behaviour == "unknown":
        return [Unknown({"type": "dummy_block"}, attempt.model_name, attempt.provider_name)]
    if behaviour == "request":
        shown = _request_json(request, config, attempt, messages)
        return [Text(orjson.dumps(shown).decode())]
    text = Text(_text(model, request, attempt, messages, call))
    if behaviour == "thought":
        return [Thought(THOUGHT, options.get("signature"), provider_type=config.type), text]
    return [text]


def _text(
    model: DummyModel, request: ModelRequest, attempt: Attempt, messages: list[Message], call: int
) -> str:
    template = model.options.get("template")
    if template is None:
        return model.options.get("text", DEFAULT_TEXT)
    tools = request.tool_config
    values = {
        "user": last_user_text(messages),
        "system": request.system or "",
        "model": attempt.model_name,
        "provider": attempt.provider_name,
        "call": str(call),
        "messages": str(len(messages)),
        "tools": "" if tools is None else ", ".join(tool.name for tool in tools.tools),
    }
    return fill_template(template, values)


def _is_forced(request: ModelRequest) -> bool:
    config = request.tool_config
    return config is not None and (
        config.tool_choice == "required" or isinstance(config.tool_choice, dict)
    )


def _tool_calls(model: DummyModel, request: ModelRequest) -> list[OutputBlock]:
    config = request.tool_config
    tools = () if config is None else config.allowed_function_tools()
    if not tools or config is None:
        raise IncompatibleTool("The dummy behaviour `tool_call` needs a tool in the request")
    tool = tools[0]
    if isinstance(config.tool_choice, dict):
        wanted = config.tool_choice["specific"]
        tool = next((one for one in tools if one.name == wanted), tool)
    arguments = model.options.get("args")
    if arguments is None:
        arguments = model.options.get("value") or _json_of(tool.parameters)
    return [
        ToolCall(f"call_{index}", tool.name, arguments) for index in range(model.integer("n", 1))
    ]


def _request_json(
    request: ModelRequest, config: ProviderConfig, attempt: Attempt, messages: list[Message]
) -> dict[str, Any]:
    headers, _ = extra_headers(request, config, attempt)
    tools = request.tool_config
    params = request.params.to_json()
    params.pop("json_mode", None)
    return {
        "system": request.system,
        "messages": [message.to_json() for message in messages],
        "tools": [] if tools is None else [tool.to_json() for tool in tools.tools],
        "tool_choice": None if tools is None else tools.tool_choice,
        "params": params,
        "json_mode": request.json_mode,
        "function_type": request.function_type,
        "output_schema": None if request.output_schema is None else request.output_schema.value,
        "credentials": sorted(attempt.credentials),
        "extra_headers": headers,
    }


def count_usage(
    model: DummyModel, request: ModelRequest, messages: list[Message], output: list[OutputBlock]
) -> Usage:
    """Tokens: words between blanks, unless the options say otherwise."""
    if model.options.get("usage") == "none":
        return Usage()
    given = model.integers
    words_in = given.get("input_tokens")
    if words_in is None:
        words_in = len((request.system or "").split()) + sum(
            len(block.text.split())
            for message in messages
            for block in message.content
            if isinstance(block, Text)
        )
    words_out = given.get("output_tokens")
    if words_out is None:
        words_out = sum(len(_said(block).split()) for block in output)
    return Usage(words_in, words_out)


def _said(block: OutputBlock) -> str:
    if isinstance(block, Text | Thought):
        return block.text or ""
    return block.arguments if isinstance(block, ToolCall) else ""


def last_user_text(messages: list[Message]) -> str:
    for message in reversed(messages):
        if message.role == "user":
            for block in reversed(message.content):
                if isinstance(block, Text):
                    return block.text
    return ""
