"""``POST /batch_inference``: the body, and the parser that names the path of the first fault."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorzero.gateway.fields import (
    boolean,
    fault,
    integer,
    items,
    mapping,
    number,
    refuse_unknown,
    required,
    string,
    strings,
    uuid,
)
from tensorzero.gateway.input_parser import parse_input
from tensorzero.gateway.json_body import json_object
from tensorzero.gateway.request import parse_credentials, parse_tags
from tensorzero.gateway.tools_parser import (
    parse_additional_tools,
    parse_provider_tools,
    parse_tool_choice,
)
from tensorzero.types.content import Input
from tensorzero.types.credentials import Credentials
from tensorzero.types.errors import InvalidRequest

log = logging.getLogger(__name__)

Entries = tuple[Any, ...] | None
"""One entry for each input, ``None`` where it has none; ``None``: the field is absent."""
_Parse = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What a client asks for; field names are the wire's."""

    function_name: str
    inputs: tuple[Input, ...]
    variant_name: str | None = None
    episode_ids: Entries = None
    tags: Entries = None
    allowed_tools: Entries = None
    additional_tools: Entries = None
    tool_choice: Entries = None
    parallel_tool_calls: Entries = None
    provider_tools: Entries = None
    output_schemas: Entries = None
    params: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=Credentials)

    def check_lengths(self) -> None:
        """Raises ``InvalidRequest`` for the first list that is not as long as ``inputs``."""
        for name in LISTS_BEFORE_INPUTS:
            self._check_length(name, getattr(self, name))

    def check_params(self) -> None:
        """The same for the lists of ``params``."""
        for name in _PARAMS:
            if name != "stop_sequences":
                self._check_length(name, self.params.get(name))

    def _check_length(self, name: str, entries: Entries) -> None:
        if entries is not None and len(entries) != len(self.inputs):
            raise InvalidRequest(
                f"{name} vector length ({len(entries)}) does not match number of inferences "
                f"({len(self.inputs)})"
            )


LISTS_BEFORE_INPUTS = (
    "allowed_tools",
    "additional_tools",
    "tool_choice",
    "parallel_tool_calls",
    "provider_tools",
    "output_schemas",
)
"""Lists whose lengths are checked before any input is, in order."""


def entry(entries: Sequence[Any] | None, index: int) -> Any:
    """The entry of one input; a list that is too short has none."""
    return None if entries is None or index >= len(entries) else entries[index]


def parse_batch_request(body: bytes) -> BatchRequest:
    """A typed request; raises ``JsonRequest``."""
    data = json_object(body)
    refuse_unknown(data, "", (*_REQUIRED, *_PARSERS))
    values: dict[str, Any] = {
        name: parse(required(data, name, ""), name) for name, parse in _REQUIRED.items()
    }
    for name, parse in _PARSERS.items():
        if data.get(name) is not None:
            values[name] = parse(data[name], name)
    return BatchRequest(**values)


def _entries(parse: _Parse, *, nullable: bool = True) -> _Parse:
    def read(value: Any, path: str) -> tuple[Any, ...]:
        return tuple(
            None if one is None and nullable else parse(one, f"{path}[{at}]")
            for at, one in enumerate(items(value, path))
        )

    return read


def _schema(value: Any, path: str) -> Any:
    if type(value) not in (dict, bool):
        raise fault(path, "a JSON Schema is an object, `true` or `false`")
    return value


def _params(value: Any, path: str) -> dict[str, tuple[Any, ...]]:
    inner = mapping(value, path).get("chat_completion")
    if inner is None:
        return {}
    path = f"{path}.chat_completion"
    fields = mapping(inner, path)
    if fields.get("service_tier") is not None:
        log.warning("`params.chat_completion.service_tier` has no effect on batches")
    return {
        name: parse(fields[name], f"{path}.{name}")
        for name, parse in _PARAMS.items()
        if fields.get(name) is not None
    }


_PARAMS: dict[str, _Parse] = {
    "temperature": _entries(number),
    "max_tokens": _entries(integer(0, 2**32 - 1)),
    "seed": _entries(integer(0, 2**32 - 1)),
    "top_p": _entries(number),
    "presence_penalty": _entries(number),
    "frequency_penalty": _entries(number),
    "reasoning_effort": _entries(string),
    "thinking_budget_tokens": _entries(integer(-(2**31), 2**31 - 1)),
    "verbosity": _entries(string),
    "stop_sequences": _entries(strings, nullable=False),
}
_REQUIRED: dict[str, _Parse] = {
    "function_name": string,
    "inputs": _entries(parse_input, nullable=False),
}
_PARSERS: dict[str, _Parse] = {
    "variant_name": string,
    "episode_ids": _entries(uuid),
    "params": _params,
    "tags": _entries(parse_tags),
    "allowed_tools": _entries(strings),
    "additional_tools": _entries(parse_additional_tools),
    "provider_tools": _entries(parse_provider_tools),
    "tool_choice": _entries(parse_tool_choice),
    "parallel_tool_calls": _entries(boolean),
    "output_schemas": _entries(_schema),
    "credentials": parse_credentials,
}
