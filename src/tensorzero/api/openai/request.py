"""A chat completion's request body, mapped onto ``InferenceRequest``.

Fields, their order of checks and their faults: the contract's page, 2 and 3.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tensorzero.api.openai.common_request import read_common_chat_completion
from tensorzero.api.openai.messages import parse_messages, to_input
from tensorzero.api.openai.tools import parse_response_format, parse_tool_choice, parse_tools
from tensorzero.gateway.fields import (
    boolean,
    choice,
    fault,
    integer,
    mapping,
    number,
    string,
    strings,
    uuid,
)
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.request import (
    InferenceRequest,
    check_cache_options,
    parse_credentials,
    parse_namespace,
    parse_params,
    parse_tags,
)
from tensorzero.gateway.tools_parser import (
    parse_extra_body,
    parse_extra_headers,
    parse_provider_tools,
)
from tensorzero.types.errors import InvalidOpenAICompatibleRequest
from tensorzero.types.params import ChatCompletionParams

log = logging.getLogger(__name__)

FUNCTION_PREFIX = "tensorzero::function_name::"
MODEL_PREFIX = "tensorzero::model_name::"
EMBEDDING_PREFIX = "tensorzero::embedding_model_name::"

_U32 = integer(0, 2**32 - 1)


class ChatCompletionRequest(InferenceRequest):
    """An inference request, and what only this face has to know of it."""

    include_usage: bool = False
    """Whether a stream's last chunk carries the usage."""

    def model(self, variant_name: str) -> str:
        """``model`` of answers and chunks."""
        if self.model_name is not None:
            return MODEL_PREFIX + self.model_name
        return f"{FUNCTION_PREFIX}{self.function_name}::variant_name::{variant_name}"


def parse_chat_completion(body: bytes) -> ChatCompletionRequest:
    """A typed request; raises ``JsonRequest`` and ``InvalidOpenAICompatibleRequest``."""
    read = read_common_chat_completion(body)
    if read is None:
        return parse_any_chat_completion(body)
    common, given = read
    episode_id = common.episode_id
    values: dict[str, Any] = {}
    if episode_id is not None:
        values["episode_id"] = uuid(episode_id, "tensorzero::episode_id")
    _target(common.model, values)
    return ChatCompletionRequest(
        given,
        stream=common.stream,
        dryrun=common.dryrun,
        tags=common.tags,
        include_usage=common.include_usage,
        common=True,
        **values,
    )


def parse_any_chat_completion(body: bytes) -> ChatCompletionRequest:
    """The complete parser: every form of a request, every fault."""
    data = json_object(body)
    values: dict[str, Any] = {}
    params: dict[str, Any] = {}
    other: dict[str, Any] = {}
    unknown: list[str] = []
    for key, value in data.items():
        entry = _FIELDS.get(key)
        if entry is not None:
            if value is not None:
                values[entry[0]] = entry[1](value, key)
            continue
        entry = _PARAMS.get(key)
        if entry is not None:
            if value is not None:
                params[entry[0]] = entry[1](value, key)
            continue
        parse = _OTHER.get(key)
        if parse is None:
            unknown.append(key)
        elif value is not None or key in _REQUIRED:
            other[key] = parse(value, key)
    for key in _REQUIRED:
        if key not in other:
            raise fault("", f"missing field `{key}`")
    if other.get("n", 1) != 1:
        raise InvalidOpenAICompatibleRequest(
            "`n` other than 1 is not supported: leave it out or set it to 1"
        )
    if unknown:
        _unknown(unknown, other)
    stream_options = other.get("stream_options")
    values["include_usage"] = _include_usage(values, stream_options)
    _target(other["model"], values)
    values["input"] = to_input(other["messages"])
    if len(other) > 2:
        _merge(other, values, params)
    if params:
        values["params"] = ChatCompletionParams(**params)
    return ChatCompletionRequest(**values)


def _unknown(names: list[str], other: dict[str, Any]) -> None:
    if other.get("tensorzero::deny_unknown_fields"):
        raise InvalidOpenAICompatibleRequest(
            "`tensorzero::deny_unknown_fields` is set to true, but the request has unknown "
            f"fields: [{', '.join(sorted(names))}]"
        )
    shown = ", ".join(name[:64] for name in sorted(names)[:20])
    log.warning("ignoring unknown fields of an OpenAI-compatible request: [%s]", shown)


def _include_usage(values: dict[str, Any], options: bool | None) -> bool:
    """Whether a stream tells its usage. ``options``: ``include_usage`` of ``stream_options``."""
    if not values.get("include_raw_usage"):
        return options is True
    if values.get("stream") and options is False:
        raise InvalidOpenAICompatibleRequest(
            "`tensorzero::include_raw_usage` needs `stream_options.include_usage` to be true, or "
            "no `stream_options` at all"
        )
    return True


def _target(model: str, values: dict[str, Any]) -> None:
    if model.startswith(FUNCTION_PREFIX):
        name = model[len(FUNCTION_PREFIX) :]
        if not name:
            raise InvalidOpenAICompatibleRequest(
                f"the function name in `model` cannot be empty: `{FUNCTION_PREFIX}<name>`"
            )
        values["function_name"] = name
    elif model.startswith(MODEL_PREFIX):
        name = model[len(MODEL_PREFIX) :]
        if not name:
            raise InvalidOpenAICompatibleRequest(
                f"the model name in `model` cannot be empty: `{MODEL_PREFIX}<name>`"
            )
        values["model_name"] = name
    else:
        raise InvalidOpenAICompatibleRequest(
            f"`model` must start with `{FUNCTION_PREFIX}` or `{MODEL_PREFIX}`, found "
            f"`{model[:256]}`"
        )


def _merge(other: dict[str, Any], values: dict[str, Any], params: dict[str, Any]) -> None:
    """The fields that mean several native ones, and ``tensorzero::params`` above all."""
    limit = other.get("max_completion_tokens")
    if limit is not None:
        params["max_tokens"] = min(limit, params.get("max_tokens", limit))
    chosen = other.get("tool_choice")
    if chosen is not None:
        values["tool_choice"], allowed = chosen
        if allowed is not None:
            values["allowed_tools"] = allowed
    form = other.get("response_format")
    if form is not None:
        params["json_mode"], schema = form
        if schema is not None:
            values["output_schema"] = schema
    params.update(other.get("tensorzero::params", {}))


def _stop(value: Any, path: str) -> tuple[str, ...]:
    return (value,) if type(value) is str else strings(value, path)


def _service_tier(value: Any, path: str) -> str:
    return choice(value, path, ("auto", "default", "priority", "flex"))


def _stream_options(value: Any, path: str) -> bool:
    given = mapping(value, path).get("include_usage")
    return given is not None and boolean(given, f"{path}.include_usage")


Parser = Callable[[Any, str], Any]

_REQUIRED = ("model", "messages")

_FIELDS: dict[str, tuple[str, Parser]] = {
    "stream": ("stream", boolean),
    "tools": ("additional_tools", parse_tools),
    "parallel_tool_calls": ("parallel_tool_calls", boolean),
    "tensorzero::episode_id": ("episode_id", uuid),
    "tensorzero::variant_name": ("variant_name", string),
    "tensorzero::namespace": ("namespace", parse_namespace),
    "tensorzero::dryrun": ("dryrun", boolean),
    "tensorzero::tags": ("tags", parse_tags),
    "tensorzero::credentials": ("credentials", parse_credentials),
    "tensorzero::provider_tools": ("provider_tools", parse_provider_tools),
    "tensorzero::extra_body": ("extra_body", parse_extra_body),
    "tensorzero::extra_headers": ("extra_headers", parse_extra_headers),
    "tensorzero::internal_dynamic_variant_config": ("dynamic_variant", mapping),
    "tensorzero::include_raw_usage": ("include_raw_usage", boolean),
    "tensorzero::include_raw_response": ("include_raw_response", boolean),
    "tensorzero::include_original_response": ("include_original_response", boolean),
}
"""By the name of the field in ``InferenceRequest``."""

_PARAMS: dict[str, tuple[str, Parser]] = {
    "temperature": ("temperature", number),
    "max_tokens": ("max_tokens", _U32),
    "seed": ("seed", _U32),
    "top_p": ("top_p", number),
    "presence_penalty": ("presence_penalty", number),
    "frequency_penalty": ("frequency_penalty", number),
    "stop": ("stop_sequences", _stop),
    "reasoning_effort": ("reasoning_effort", string),
    "service_tier": ("service_tier", _service_tier),
    "verbosity": ("verbosity", string),
}
"""By the name of the field in ``ChatCompletionParams``."""

_OTHER: dict[str, Parser] = {
    "model": string,
    "messages": parse_messages,
    "n": _U32,
    "stream_options": _stream_options,
    "max_completion_tokens": _U32,
    "tool_choice": parse_tool_choice,
    "response_format": parse_response_format,
    "tensorzero::params": parse_params,
    "tensorzero::cache_options": check_cache_options,
    "tensorzero::deny_unknown_fields": boolean,
}
