"""An inference request: its typed form, and the parser that names the path of the first fault.

Shapes and texts: the contract's native inference API, sections 1 to 5.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from tensorzero.gateway.common_request import read_common_request
from tensorzero.gateway.fields import (
    boolean,
    choice,
    fault,
    integer,
    items,
    mapping,
    number,
    optional,
    refuse_unknown,
    string,
    strings,
    uuid,
)
from tensorzero.gateway.input_parser import parse_input
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.tools_parser import (
    parse_additional_tools,
    parse_extra_body,
    parse_extra_headers,
    parse_provider_tools,
    parse_tool_choice,
)
from tensorzero.types.content import Input
from tensorzero.types.credentials import Credentials
from tensorzero.types.errors import InvalidRequest, JsonRequest
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.params import NO_PARAMS, ChatCompletionParams
from tensorzero.types.tools import CustomTool, FunctionTool, ProviderTool, ToolChoice

log = logging.getLogger(__name__)


class InferenceRequest(Struct):
    """What a client asks for; field names and defaults are the wire's."""

    input: Input
    function_name: str | None = None
    model_name: str | None = None
    episode_id: str | None = None
    variant_name: str | None = None
    namespace: str | None = None
    stream: bool = False
    params: ChatCompletionParams = NO_PARAMS
    dryrun: bool = False
    internal: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    allowed_tools: tuple[str, ...] | None = None
    additional_tools: tuple[FunctionTool | CustomTool, ...] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    provider_tools: tuple[ProviderTool, ...] = ()
    output_schema: Any = None
    credentials: Credentials = field(default_factory=Credentials)
    extra_body: tuple[ExtraBody, ...] = ()
    extra_headers: tuple[ExtraHeader, ...] = ()
    include_raw_response: bool = False
    include_raw_usage: bool = False
    include_original_response: bool = False
    include_aggregated_response: bool = False
    dynamic_variant: Mapping[str, Any] | None = None
    common: bool = False
    """Nothing is set but what ``CommonRequest`` knows."""

    @property
    def wants_raw_data(self) -> bool:
        """Whether the answer carries anything of the providers' own."""
        return self.include_raw_response or self.include_raw_usage or self.include_original_response


def parse_inference_request(body: bytes) -> InferenceRequest:
    """A typed request; raises ``JsonRequest`` naming the path of the first fault."""
    read = read_common_request(body)
    if read is not None:
        common, given = read
        episode_id = common.episode_id
        return InferenceRequest(
            given,
            common.function_name,
            common.model_name,
            None if episode_id is None else uuid(episode_id, "episode_id"),
            common.variant_name,
            stream=common.stream,
            dryrun=common.dryrun,
            tags=common.tags,
            common=True,
        )
    return parse_any_request(body)


def parse_any_request(body: bytes) -> InferenceRequest:
    """The complete parser: every form of a request, every fault."""
    data = json_object(body)
    if "input" not in data:
        for key in data:
            if key not in _PARSERS and key != "cache_options":
                raise _unknown_field(key)
        raise fault("", "missing field `input`")
    values: dict[str, Any] = {}
    for key, value in data.items():
        if value is None and key != "input" and key in _PARSERS:
            continue
        if key == "cache_options":
            check_cache_options(value, key)
            continue
        parser = _PARSERS.get(key)
        if parser is None:
            raise _unknown_field(key)
        name, parse = parser
        values[name] = parse(value, key)
    return InferenceRequest(**values)


def _unknown_field(key: str) -> JsonRequest:
    return fault("", f"unknown field `{key[:64]}`, expected one of {_EXPECTED}")


"""Hyphenated, simple, braced and URN spellings."""


def _params(value: Any, path: str) -> ChatCompletionParams:
    fields = parse_params(value, path)
    return ChatCompletionParams(**fields) if fields else NO_PARAMS


def parse_params(value: Any, path: str) -> dict[str, Any]:
    """The fields of ``params.chat_completion`` that are set."""
    table = mapping(value, path)
    refuse_unknown(table, path, ("chat_completion",))
    inner = table.get("chat_completion")
    if inner is None:
        return {}
    path = f"{path}.chat_completion"
    fields = mapping(inner, path)
    refuse_unknown(fields, path, tuple(_PARAMS))
    return {
        key: _PARAMS[key](entry, f"{path}.{key}")
        for key, entry in fields.items()
        if entry is not None
    }


def _json_mode(value: Any, path: str) -> Any:
    mode = choice(value, path, ("off", "on", "strict", "tool", "implicit_tool"))
    return "tool" if mode == "implicit_tool" else mode


_PARAMS = {
    "temperature": number,
    "top_p": number,
    "presence_penalty": number,
    "frequency_penalty": number,
    "max_tokens": integer(0, 2**32 - 1),
    "seed": integer(0, 2**32 - 1),
    "stop_sequences": strings,
    "reasoning_effort": string,
    "service_tier": lambda value, path: choice(
        value, path, ("auto", "default", "priority", "flex")
    ),
    "thinking_budget_tokens": integer(-(2**31), 2**31 - 1),
    "verbosity": string,
    "json_mode": _json_mode,
}


def parse_tags(value: Any, path: str) -> dict[str, str]:
    return {key: string(entry, f"{path}.{key[:64]}") for key, entry in mapping(value, path).items()}


def parse_credentials(value: Any, path: str) -> Credentials:
    """Like tags, but no value is ever shown."""
    table = mapping(value, path)
    for key, entry in table.items():
        if type(entry) is not str:
            raise fault(f"{path}.{key[:64]}", "invalid type, expected a string")
    return Credentials(table)


def parse_namespace(value: Any, path: str) -> str:
    text = string(value, path)
    if text == "":
        raise InvalidRequest("Namespace identifier cannot be empty")
    if text.startswith("tensorzero::"):
        raise InvalidRequest(f"Namespace cannot start with `tensorzero::`: {text}")
    return text


def check_cache_options(value: Any, path: str) -> None:
    """Checked, then left with a warning: there is no cache yet."""
    if value is None:
        return
    table = mapping(value, path)
    enabled = optional(table, "enabled")
    if enabled is not None:
        choice(enabled, f"{path}.enabled", ("on", "off", "read_only", "write_only"))
        if enabled != "off":
            log.warning("`%s` has no effect: the inference cache is not served yet", path[:64])
    age = optional(table, "max_age_s")
    if age is not None:
        integer(0, 2**32 - 1)(age, f"{path}.max_age_s")


def _anything(value: Any, path: str) -> Any:
    return value


def _names(value: Any, path: str) -> tuple[str, ...]:
    return tuple(string(entry, f"{path}[{at}]") for at, entry in enumerate(items(value, path)))


_PARSERS = {
    "function_name": ("function_name", string),
    "model_name": ("model_name", string),
    "input": ("input", parse_input),
    "episode_id": ("episode_id", uuid),
    "variant_name": ("variant_name", string),
    "namespace": ("namespace", parse_namespace),
    "stream": ("stream", boolean),
    "params": ("params", _params),
    "dryrun": ("dryrun", boolean),
    "internal": ("internal", boolean),
    "tags": ("tags", parse_tags),
    "allowed_tools": ("allowed_tools", _names),
    "additional_tools": ("additional_tools", parse_additional_tools),
    "tool_choice": ("tool_choice", parse_tool_choice),
    "parallel_tool_calls": ("parallel_tool_calls", boolean),
    "provider_tools": ("provider_tools", parse_provider_tools),
    "output_schema": ("output_schema", _anything),
    "credentials": ("credentials", parse_credentials),
    "extra_body": ("extra_body", parse_extra_body),
    "extra_headers": ("extra_headers", parse_extra_headers),
    "include_raw_response": ("include_raw_response", boolean),
    "include_raw_usage": ("include_raw_usage", boolean),
    "include_original_response": ("include_original_response", boolean),
    "include_aggregated_response": ("include_aggregated_response", boolean),
    "internal_dynamic_variant_config": ("dynamic_variant", mapping),
}
_EXPECTED = ", ".join(f"`{key}`" for key in (*_PARSERS, "cache_options"))
