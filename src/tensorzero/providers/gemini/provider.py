"""What both Gemini types are: requests as Gemini takes them, answers as it gives them."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import orjson

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.chat_completions.tools import (
    refuse_custom_tools,
    refuse_provider_tools,
)
from tensorzero.providers.files import FileContents
from tensorzero.providers.gemini.answers import read_answer
from tensorzero.providers.gemini.contents import UnsendableBlock, map_contents
from tensorzero.providers.gemini.failures import GeminiFailures
from tensorzero.providers.gemini.plain import (
    read_counted_text_delta,
    read_plain_answer,
    read_text_delta,
)
from tensorzero.providers.gemini.streams import GeminiReader
from tensorzero.providers.gemini.tools import Schemas, map_tool_config, map_tools
from tensorzero.providers.http import Answer, HttpProvider
from tensorzero.providers.reader import StreamReader
from tensorzero.providers.tails import Tails
from tensorzero.types.content import Message, Text
from tensorzero.types.errors import InvalidRequest, Serialization
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, ModelRequest
from tzcore.assemble import GeminiBody

log = logging.getLogger(__name__)

LACKING = ("service_tier", "verbosity")
VENDOR_NAMES = {
    "top_p": "topP",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
}


class GeminiProvider(HttpProvider):
    """Base of the Gemini types: they differ in keys' order, in figures of streams, in place."""

    failures_type = GeminiFailures
    parameter_order: ClassVar[tuple[str, ...]]
    """In which the type sends those that are numbers."""
    null_tools: ClassVar[bool]
    """Whether a body without tools says so."""
    final_usage_only: ClassVar[bool]
    """Whether figures of a stream count only in an event with a finish reason."""

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        self._schemas = Schemas()
        self._tails = Tails(self._tail)
        self._writer = GeminiBody(Text)

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        if not request.messages:
            raise InvalidRequest(f"{self.display_name} requires at least one message")
        if request.tool_config is not None:
            refuse_custom_tools(request.tool_config, self.type)
            refuse_provider_tools(request, attempt, self.type)

    def inlines(self, file: File, request: ModelRequest) -> bool:
        return True

    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        try:
            contents = map_contents(messages, files, self.type)
        except UnsendableBlock as error:
            if error.by_client:
                raise self.failures.client(str(error), None, None, 400) from None
            raise self.failures.server(str(error), None) from None
        body = {"contents": contents, **self._fields(request)}
        if request.system is not None:
            body["systemInstruction"] = _system(request.system)
        return body

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        if request.tool_config is not None:
            return None
        try:
            tail = self._tails.get(request)
        except TypeError:  # nested too deep: the general way says so
            return None
        return self._writer.body(request.system, messages, tail)

    def _tail(self, request: ModelRequest) -> bytes:
        """What stands between contents and system text: ``"key":value…``."""
        return orjson.dumps(self._fields(request))[1:-1]

    def _fields(self, request: ModelRequest) -> dict[str, Any]:
        """Everything but the contents and the system text."""
        fields: dict[str, Any] = {}
        config = request.tool_config
        try:
            tools = None if config is None else map_tools(config, self._schemas)
            if tools is not None or self.null_tools:
                fields["tools"] = tools
            if config is not None and tools is not None:
                fields["toolConfig"] = map_tool_config(config)
            fields["generationConfig"] = self._generation(request)
        except RecursionError:
            raise Serialization(
                f"The request of {self.type} cannot be written: a schema is nested too deep"
            ) from None
        return fields

    def _generation(self, request: ModelRequest) -> dict[str, Any]:
        params = request.params
        config: dict[str, Any] = {}
        if params.stop_sequences is not None:
            config["stopSequences"] = list(params.stop_sequences)
        if params.temperature is not None:
            config["temperature"] = params.temperature
        thinking: dict[str, Any] = {}
        if params.thinking_budget_tokens is not None:
            thinking["thinkingBudget"] = params.thinking_budget_tokens
        if params.reasoning_effort is not None:
            thinking["thinkingLevel"] = params.reasoning_effort
        if thinking:
            config["thinkingConfig"] = thinking
        for name in self.parameter_order:
            value = getattr(params, name)
            if value is not None:
                config[VENDOR_NAMES[name]] = value
        if request.json_mode != "off":
            config["responseMimeType"] = "application/json"
            if request.output_schema is not None:
                config["responseSchema"] = self._schemas.clean(request.output_schema)
        for name in LACKING:
            if getattr(params, name) is not None:
                log.warning(
                    "%s does not support the inference parameter `%s`, so it will be ignored.",
                    self.display_name,
                    name,
                )
        return config

    def plain_answer(self, body: bytes) -> Answer | None:
        return read_plain_answer(body, self.type)

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        return read_answer(body, attempt, provider_type=self.type, display_name=self.display_name)

    def reader(self, attempt: Attempt) -> StreamReader:
        return GeminiReader(
            attempt,
            provider_type=self.type,
            display_name=self.display_name,
            text_delta=(read_text_delta if self.final_usage_only else read_counted_text_delta),
            final_usage_only=self.final_usage_only,
            discards_unknown=self.config.discard_unknown_chunks,
        )


def _system(text: str) -> dict[str, Any]:
    """The vendor takes any role here; this one is what clients of the contract know."""
    return {"role": "model", "parts": [{"text": text}]}
