"""The base of the types that speak the Messages API: a type says what differs, mostly as data."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.chat_completions.tools import scoped_provider_tools
from tensorzero.providers.files import FileContents
from tensorzero.providers.http import Answer, HttpProvider
from tensorzero.providers.messages_api.answers import (
    read_answer,
    read_plain_answer,
    restore_prefill,
)
from tensorzero.providers.messages_api.content import BadArguments, map_messages, map_text
from tensorzero.providers.messages_api.events import MessagesReader
from tensorzero.providers.messages_api.failures import MessagesFailures
from tensorzero.providers.messages_api.figures import output_limit
from tensorzero.providers.messages_api.tools import refuse_custom_tools, tool_fields
from tensorzero.providers.reader import StreamReader
from tensorzero.providers.tails import Tails
from tensorzero.types.content import Message, Text
from tensorzero.types.errors import InvalidRequest
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, ModelRequest
from tzcore.assemble import ChatBody

log = logging.getLogger(__name__)

PREFILL = Message("assistant", [Text("Here is the JSON requested:\n{")])
"""Begins the answer of a JSON function for the model."""


class MessagesProvider(HttpProvider):
    """Requests as the Messages API takes them, answers as it gives them."""

    failures_type = MessagesFailures
    warning_name: ClassVar[str]
    """What texts about requests call the vendor."""
    limit_name: ClassVar[str]
    """What the text about an unknown output limit calls it."""
    output_limits: ClassVar[Mapping[str, int]]
    """Tokens by model, or by how its name begins (``…*``): ``max_tokens`` is required."""
    strict_tools: ClassVar[bool]
    writes_json: ClassVar[bool]
    """Whether the host holds answers to a schema, and lets an answer be begun."""
    parameters: ClassVar[tuple[str, ...]]
    """The keys after the system text, in the type's order."""
    service_tiers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        self.limit = output_limit(self.model(), self.output_limits)
        self.provider_tools: list[Any] = list(config.options.get("provider_tools") or ())
        head = orjson.dumps(self.head())
        self._head = b"{" if head == b"{}" else head[:-1] + b","
        self._messages = ChatBody(Text, lists=True)
        self._tails = Tails(self._tail)

    # --- what a type says

    @abstractmethod
    def model(self) -> str:
        """The vendor's name of the model."""

    @abstractmethod
    def head(self) -> dict[str, str]:
        """What stands before the messages."""

    # --- requests

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        params = request.params
        if not request.messages:
            raise InvalidRequest("Anthropic requires at least one message")
        if params.max_tokens is None and self.limit is None:
            raise self.failures.client(
                f"The output token limit of the model `{self.model()}` of {self.limit_name} is "
                "unknown: set `max_tokens`",
                None,
            )
        if params.reasoning_effort is not None and params.thinking_budget_tokens is not None:
            raise InvalidRequest(
                "Cannot specify both `reasoning_effort` and `thinking_budget_tokens` for "
                f"{self.warning_name}: `reasoning_effort` lets the model decide how much it "
                "thinks, `thinking_budget_tokens` sets a limit"
            )
        if request.tool_config is not None:
            refuse_custom_tools(request.tool_config)

    def inlines(self, file: File, request: ModelRequest) -> bool:
        if file.url is None or request.fetch_files:
            return True
        if file.mime_type is None:
            log.warning(
                "the URL of a file without `mime_type` cannot be passed on to %s: the file is "
                "fetched and sent by content",
                self.warning_name,
            )
            return True
        return False

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        if request.tool_config is not None:
            return None
        if self._prefills(request):
            messages = [*messages, PREFILL]
        before, after = self._tails.get(request)
        if request.system is None:
            tail = before + after
        else:
            try:
                system = orjson.dumps(request.system)
            except TypeError:  # no Unicode: the general way says so
                return None
            tail = b'%b,"system":[{"type":"text","text":%b}]%b' % (before, system, after)
        body = self._messages.body(None, messages, tail)
        return None if body is None else self._head + body[1:]

    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        return self._body(request, messages, files, [])

    def body_for(
        self, request: ModelRequest, messages: list[Message], files: FileContents, attempt: Attempt
    ) -> dict[str, Any]:
        config = request.tool_config
        scoped = [] if config is None else scoped_provider_tools(config, attempt)
        return self._body(request, messages, files, scoped)

    def _body(
        self,
        request: ModelRequest,
        messages: list[Message],
        files: FileContents,
        scoped_tools: list[Any],
    ) -> dict[str, Any]:
        if self._prefills(request):
            messages = [*messages, PREFILL]
        try:
            mapped = map_messages(messages, files, self.warning_name)
        except BadArguments as error:
            raise self.failures.client(str(error), None, None, 400) from None
        body: dict[str, Any] = {**self.head(), "messages": mapped, **self._before(request)}
        if request.system is not None:
            body["system"] = [map_text(request.system)]
        body.update(self._after(request, scoped_tools))
        return body

    def _tail(self, request: ModelRequest) -> tuple[bytes, bytes]:
        """What stands before and after the system text."""
        after = orjson.dumps(self._after(request, []))[1:]
        before = orjson.dumps(self._before(request))[1:-1]
        return before, after if after == b"}" else b"," + after

    def _before(self, request: ModelRequest) -> dict[str, Any]:
        """What stands between the messages and the system text."""
        params = request.params
        limit = self.limit if params.max_tokens is None else params.max_tokens
        fields: dict[str, Any] = {"max_tokens": limit, "stream": request.stream}
        output: dict[str, Any] = {}
        if not self.writes_json:
            self._warn_of_json(request)
        elif request.json_mode == "strict" and request.output_schema is not None:
            output["format"] = {"type": "json_schema", "schema": request.output_schema.value}
        if params.reasoning_effort is not None:
            output["effort"] = params.reasoning_effort
        if output:
            fields["output_config"] = output
        return fields

    def _after(self, request: ModelRequest, scoped_tools: list[Any]) -> dict[str, Any]:
        """What stands after the system text."""
        params = request.params
        thinking: dict[str, Any] | None = None
        if params.thinking_budget_tokens is not None:
            thinking = {"type": "enabled", "budget_tokens": params.thinking_budget_tokens}
        elif params.reasoning_effort is not None:
            thinking = {"type": "adaptive"}
        stop = params.stop_sequences
        values = {
            "temperature": params.temperature,
            "thinking": thinking,
            "top_p": params.top_p,
            "service_tier": self._service_tier(request),
            "stop_sequences": None if stop is None else list(stop),
        }
        fields = {key: values[key] for key in self.parameters if values[key] is not None}
        if params.verbosity is not None:
            self._warn_of("verbosity")
        tools = self.provider_tools + scoped_tools
        fields.update(tool_fields(request.tool_config, tools, strict=self.strict_tools))
        return fields

    def _service_tier(self, request: ModelRequest) -> str | None:
        tier = request.params.service_tier
        if tier is None:
            return None
        if tier not in self.service_tiers:
            self._warn_of("service_tier")
        return self.service_tiers.get(tier)

    def _prefills(self, request: ModelRequest) -> bool:
        """Whether the answer is begun for the model."""
        return self.writes_json and request.json_mode == "on" and request.function_type == "json"

    def _warn_of(self, parameter: str) -> None:
        log.warning(
            "%s does not support the inference parameter `%s`, so it will be ignored.",
            self.warning_name,
            parameter,
        )

    def _warn_of_json(self, request: ModelRequest) -> None:
        if request.json_mode != "off" and request.function_type == "json":
            log.warning(
                '%s does not support `json_mode = "%s"`: the answer is not held to JSON. Use '
                '`json_mode = "tool"`.',
                self.warning_name,
                request.json_mode,
            )

    # --- answers

    def plain_answer(self, body: bytes) -> Answer | None:
        return read_plain_answer(body)

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        return read_answer(body, attempt, self.type)

    def complete(self, answer: Answer, request: ModelRequest) -> None:
        if self._prefills(request):
            restore_prefill(answer.output, self.warning_name)

    def reader(self, attempt: Attempt) -> StreamReader:
        return self._reader(attempt, prefilled=False)

    def reader_for(self, request: ModelRequest, attempt: Attempt) -> StreamReader:
        return self._reader(attempt, prefilled=self._prefills(request))

    def _reader(self, attempt: Attempt, *, prefilled: bool) -> StreamReader:
        return MessagesReader(
            attempt,
            self.type,
            prefilled=prefilled,
            discards_unknown=self.config.discard_unknown_chunks,
            shows_discarded=self.context.debug,
        )
