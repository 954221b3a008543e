"""The base of all types that speak Chat Completions: a type says what differs, as data.

Source: the contract's page on the OpenAI-like family, section 6 (messages, tools, parameters)
and section 8 (the sheet of each type).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, ClassVar

from tensorzero.config.credentials import NoCredential, StaticCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.chat_completions.answers import AnswerReader
from tensorzero.providers.chat_completions.events import ChatCompletionsReader
from tensorzero.providers.chat_completions.figures import FINISH_REASONS, read_usage
from tensorzero.providers.chat_completions.files import default_form, goes_by_content
from tensorzero.providers.chat_completions.messages import MessageMapper
from tensorzero.providers.chat_completions.plain import PlainBodies
from tensorzero.providers.chat_completions.tools import (
    NATIVE_FORMATS,
    JsonFormats,
    json_object,
    map_tool,
    map_tool_choice,
    refuse_custom_tools,
    refuse_provider_tools,
    restricting_tool_choice,
)
from tensorzero.providers.extra import has_extra_headers
from tensorzero.providers.files import FileContents
from tensorzero.providers.http import Answer, HttpProvider, PlainCall, join_api_base
from tensorzero.providers.reader import StreamReader
from tensorzero.providers.tails import Tails
from tensorzero.types.content import Message
from tensorzero.types.credentials import Credentials
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.tools import ToolCallConfig
from tensorzero.types.usage import FinishReason, Usage

log = logging.getLogger(__name__)

Source = Callable[[ModelRequest], Any]
"""The value of a body's key; ``None``: the key is left out."""

PARAMETERS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "seed": "seed",
    "random_seed": "seed",
    "top_p": "top_p",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "reasoning_effort": "reasoning_effort",
    "verbosity": "verbosity",
}
"""Our parameters by the keys that carry them as they are."""

LACKABLE = ("reasoning_effort", "thinking_budget_tokens", "service_tier", "verbosity")
"""Parameters that not every type has; a warning says that one is not sent."""

ALL_TIERS = frozenset({"auto", "default", "priority", "flex"})


class ChatCompletionsProvider(HttpProvider):
    """Chat Completions as most servers speak them."""

    api_base: ClassVar[str] = ""
    """The vendor's address; types whose ``api_base`` is configured have it in their options."""
    keys: ClassVar[str]
    """The keys after ``messages`` in the vendor's order. What a type has no key for is not sent."""

    json_formats: ClassVar[JsonFormats] = NATIVE_FORMATS
    json_instruction: ClassVar[bool] = True
    reasoning_field: ClassVar[str | None] = "reasoning_content"
    sends_detail: ClassVar[bool] = False
    service_tiers: ClassVar[frozenset[str]] = ALL_TIERS

    restricts_tools: ClassVar[bool] = False
    """Whether the vendor takes all tools and a list of those that may be called."""
    strict_tools: ClassVar[bool] = True
    required_choice: ClassVar[str] = "required"
    """What a ``tool_choice`` of ``required`` is called."""
    takes_custom_tools: ClassVar[bool] = False
    model_rules: ClassVar[frozenset[str]] = frozenset()
    """Which of OpenAI's rules for single models hold: ``o1-mini`` knows no system message,
    ``o1`` no ``parallel_tool_calls = false``, ``3.5`` no schema."""

    finish_reasons: ClassVar[Mapping[str, FinishReason]] = FINISH_REASONS
    thought_type: ClassVar[str | None] = None
    """What thoughts carry as ``provider_type``; the type's own name unless said."""
    message_mapper: ClassVar[type[MessageMapper]] = MessageMapper
    answer_reader: ClassVar[type[AnswerReader]] = AnswerReader
    stream_reader: ClassVar[type[ChatCompletionsReader]] = ChatCompletionsReader

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        self.model_name = self.model()
        self._keys = self.keys.split()
        lower = self.model_name.lower()
        rules = self.model_rules
        self._knows_system = not ("o1-mini" in rules and lower.startswith("o1-mini"))
        self._knows_sequential = not ("o1" in rules and lower.startswith("o1"))
        self._knows_schema = not ("3.5" in rules and "3.5" in self.model_name)
        self.messages = self.mapper()
        self.answers = self.answer_reader(
            self.type, self.thought_type, self.finish_reasons, self.usage
        )
        self._sources = [(key, self.source(key)) for key in self._keys if key not in _WITH_TOOLS]
        self._takes_tools = "tools" in self._keys
        self._lacking = [name for name in LACKABLE if not self.takes(name)]
        self._fields = Tails(self._make_fields)
        self._plain = self.plain_bodies()

    # --- what a type may say otherwise

    def model(self) -> str:
        name: str = self.config.options["model_name"]
        return name

    def url(self, *, stream: bool) -> str:
        return join_api_base(
            self.config.options.get("api_base") or self.api_base, "chat/completions"
        )

    def mapper(self) -> MessageMapper:
        """What maps the messages."""
        return self.message_mapper(
            self.type,
            form=self.form,
            reasoning_field=self.reasoning_field,
            json_instruction=self.json_instruction,
            sends_detail=self.sends_detail,
            system_role="system" if self._knows_system else "user",
        )

    def form(self, mime_type: str) -> str:
        """How a file that is sent by content is sent."""
        return default_form(mime_type)

    def plain_bodies(self) -> PlainBodies | None:
        """What writes bodies of the commonest form; ``None`` where no call has it."""
        if not self._knows_system:
            return None
        return PlainBodies(self.body, json_instruction=self.json_instruction)

    def takes(self, parameter: str) -> bool:
        """Whether a parameter of ``LACKABLE`` is sent."""
        return parameter in self._keys

    def source(self, key: str) -> Source:
        """Where the value of ``key`` comes from: by default an option of the configuration.

        It may depend on the parameters, ``stream``, ``function_type``, ``json_mode`` and
        ``output_schema``: it is asked once for each set of them.
        """
        if key in PARAMETERS:
            return attrgetter(f"params.{PARAMETERS[key]}")
        known: dict[str, Source] = {
            "stream": attrgetter("stream"),
            "stream_options": _stream_options,
            "stop": _stop,
            "service_tier": self._service_tier,
            "response_format": self.response_format,
        }
        if key in known:
            return known[key]
        constant = self.model_name if key == "model" else self.config.options.get(key)
        return lambda _: constant

    def response_format(self, request: ModelRequest) -> Any:
        """The key ``response_format``."""
        format_of = self.json_formats.get(request.json_mode)
        if format_of is None:
            return None
        return format_of(request) if self._knows_schema else json_object(request)

    def tool_fields(self, config: ToolCallConfig) -> dict[str, Any]:
        """Tools, the choice, and whether calls may be parallel; nothing without tools."""
        offered = config.tools if self.restricts_tools else config.allowed_function_tools()
        tools = [map_tool(tool, strict=self.strict_tools) for tool in offered]
        tools += self.custom_tools(config)
        if not tools:
            return {}
        choice = restricting_tool_choice if self.restricts_tools else map_tool_choice
        fields: dict[str, Any] = {"tools": tools, "tool_choice": choice(config)}
        if fields["tool_choice"] == "required":
            fields["tool_choice"] = self.required_choice
        parallel = config.parallel_tool_calls
        sent = "parallel_tool_calls" in self._keys and (parallel or self._knows_sequential)
        if parallel is not None and sent:
            fields["parallel_tool_calls"] = parallel
        return fields

    def custom_tools(self, config: ToolCallConfig) -> list[dict[str, Any]]:
        return []

    @staticmethod
    def usage(value: Any) -> Usage:
        """The figures of an answer or an event."""
        return read_usage(value)

    # --- both ways

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        if request.tool_config is not None:
            if not self.takes_custom_tools:
                refuse_custom_tools(request.tool_config, self.type)
            refuse_provider_tools(request, attempt, self.type)

    def inlines(self, file: File, request: ModelRequest) -> bool:
        return goes_by_content(file, request)

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        return None if self._plain is None else self._plain.body(request, messages)

    def plain_call(self, request: ModelRequest) -> PlainCall | None:
        config = self.config
        if any(getattr(type(self), name) is not known for name, known in _OF_PLAIN_CALLS.items()):
            return None
        if not isinstance(config.credential, StaticCredential | NoCredential):
            return None
        if config.extra_body or request.variant_extra_body or has_extra_headers(request, config):
            return None
        write = None if self._plain is None else self._plain.writer(request)
        if write is None or request.stream:
            return None
        target = self.target(Attempt("", "", "", Credentials()), stream=False)
        return PlainCall(
            target, self.timeout_s, write, self.answers.plain, self.usage_type, self.api_type
        )

    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        before, after = self._fields.get(request)
        mapped = self.messages.map(request, messages, files)
        config = request.tool_config
        if config is None or not self._takes_tools:
            return {"messages": mapped, **before, **after}
        return {"messages": mapped, **before, **self.tool_fields(config), **after}

    def _make_fields(self, request: ModelRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        """All fields but messages and tools: those before and after the tools."""
        fields: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        place = 0
        for key, source in self._sources:
            if key == "tools":
                place = 1
                continue
            value = source(request)
            if value is not None:
                fields[place][key] = value
        for name in self._lacking:
            if getattr(request.params, name) is not None:
                log.warning("%s has no `%s`: it is not sent", self.type, name)
        return fields

    def plain_answer(self, body: bytes) -> Answer | None:
        return self.answers.plain(body)

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        return self.answers.read(body)

    def reader(self, attempt: Attempt) -> StreamReader:
        return self.stream_reader(self.answers, attempt.model_inference_id)

    def _service_tier(self, request: ModelRequest) -> str | None:
        tier = request.params.service_tier
        if tier is None or tier in self.service_tiers:
            return tier
        log.warning("%s has no service tier `%s`: it is not sent", self.type, tier)
        return None


_OF_PLAIN_CALLS = {
    name: getattr(ChatCompletionsProvider, name)
    for name in (
        *("infer", "check", "pending_credentials", "target", "signed", "signs", "refused"),
        *("body_for", "plain_body", "plain_answer", "reads_headers", "read_headers", "complete"),
    )
}
"""What has a part in a call. A type that changes any of it has no plain calls."""

_WITH_TOOLS = ("tool_choice", "parallel_tool_calls")
"""Keys that follow ``tools`` and are made with it."""


def _stream_options(request: ModelRequest) -> dict[str, Any] | None:
    return {"include_usage": True} if request.stream else None


def _stop(request: ModelRequest) -> list[str] | None:
    stop = request.params.stop_sequences
    return None if stop is None else list(stop)
