"""``type = "aws_bedrock"``: the Converse API, for every chat model of Amazon Bedrock.

Source: the contract's page on Anthropic and Bedrock, section 4.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import orjson
from msgspec.json import Encoder

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.aws.converse import (
    ConverseReader,
    read_answer,
    read_plain_answer,
    restore_prefill,
)
from tensorzero.providers.aws.event_stream import FrameParser
from tensorzero.providers.aws.failures import AwsFailures
from tensorzero.providers.aws.provider import AwsProvider
from tensorzero.providers.base import ProviderContext, Splitter
from tensorzero.providers.chat_completions.files import extension_of
from tensorzero.providers.chat_completions.tools import refuse_custom_tools, refuse_provider_tools
from tensorzero.providers.files import FileContents
from tensorzero.providers.http import Answer
from tensorzero.providers.reader import StreamReader
from tensorzero.providers.tails import Tails
from tensorzero.types.content import (
    Message,
    ModelBlock,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Unknown,
)
from tensorzero.types.errors import InferenceClient
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, ModelRequest
from tensorzero.types.tools import ToolCallConfig

log = logging.getLogger(__name__)

PREFILL = Message("assistant", [Text("Here is the JSON requested:\n{")])
LACKING = ("service_tier", "verbosity")

# A message of texts is written as Converse wants it by its own fields.
_encode_messages = Encoder().encode


class BedrockFailures(AwsFailures):
    service = "Bedrock"
    event_fault = ""


class BedrockProvider(AwsProvider):
    """Converse and ConverseStream."""

    type = "aws_bedrock"
    display_name = "AWS Bedrock"
    service = "bedrock"
    host = "bedrock-runtime"
    failures_type = BedrockFailures

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        self.model_id: str = config.options["model_id"]
        self._place = f"model/{quote(self.model_id, safe='-_.~')}"
        self._tails = Tails(lambda request: orjson.dumps(self._fields(request))[1:])

    def path(self, *, stream: bool) -> str:
        return f"{self._place}/converse-stream" if stream else f"{self._place}/converse"

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        if request.tool_config is not None:
            if request.tool_config.tool_choice != "none":
                refuse_custom_tools(request.tool_config, self.type)
            refuse_provider_tools(request, attempt, self.type)

    def inlines(self, file: File, request: ModelRequest) -> bool:
        return True

    def _prefills(self, request: ModelRequest) -> bool:
        """Whether the answer's first brace is put into the model's mouth."""
        return (
            request.json_mode != "off"
            and request.function_type == "json"
            and "claude" in self.model_id
        )

    # --- requests

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        if request.tool_config is not None:
            return None
        for message in messages:
            if not message.content:
                return None
            for block in message.content:
                if type(block) is not Text:
                    return None
        tail = self._tails.get(request)
        if self._prefills(request):
            messages = [*messages, PREFILL]
        try:
            written = _encode_messages(messages)
            if not request.system:
                return b'{"messages":%b,%b' % (written, tail)
            system = orjson.dumps(request.system)
        except (UnicodeEncodeError, TypeError):  # no Unicode: the general way says so
            return None
        return b'{"messages":%b,"system":[{"text":%b}],%b' % (written, system, tail)

    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        mapped = []
        documents = 0
        for message in messages:
            content = []
            for block in message.content:
                element = self._element(block, files)
                if element is None:
                    continue
                document = element.get("document") if type(block) is File else None
                if document is not None:
                    # The vendor refuses two documents of one name.
                    documents += 1
                    document["name"] = "input" if documents == 1 else f"input-{documents}"
                content.append(element)
            if content:
                mapped.append({"role": message.role, "content": content})
        if self._prefills(request):
            mapped.append(
                {"role": "assistant", "content": [{"text": "Here is the JSON requested:\n{"}]}
            )
        body: dict[str, Any] = {"messages": mapped}
        if request.system:
            body["system"] = [{"text": request.system}]
        fields = self._fields(request)
        body["inferenceConfig"] = fields.pop("inferenceConfig")
        if request.tool_config is not None:
            tools = _tool_config(request.tool_config)
            if tools is not None:
                body["toolConfig"] = tools
        body.update(fields)
        return body

    def _fields(self, request: ModelRequest) -> dict[str, Any]:
        """What a body says beside messages, system and tools."""
        params = request.params
        config: dict[str, Any] = {}
        if params.max_tokens is not None:
            config["maxTokens"] = params.max_tokens
        if params.temperature is not None:
            config["temperature"] = params.temperature
        if params.top_p is not None:
            config["topP"] = params.top_p
        if params.stop_sequences is not None:
            config["stopSequences"] = list(params.stop_sequences)
        fields: dict[str, Any] = {"inferenceConfig": config}
        if params.thinking_budget_tokens is not None:
            thinking = {"type": "enabled", "budget_tokens": params.thinking_budget_tokens}
            fields["additionalModelRequestFields"] = {"thinking": thinking}
        if params.reasoning_effort is not None:
            self._warn_lacking("reasoning_effort", " Use `thinking_budget_tokens`.")
        for name in LACKING:
            if getattr(params, name) is not None:
                self._warn_lacking(name)
        if request.json_mode == "strict":
            log.warning("AWS Bedrock has no strict JSON mode: the schema is not enforced")
        return fields

    def _warn_lacking(self, name: str, tip: str = "") -> None:
        log.warning(
            "%s does not support the inference parameter `%s`, so it will be ignored.%s",
            self.display_name,
            name,
            tip,
        )

    def _element(self, block: ModelBlock, files: FileContents) -> Any:
        """A block as Converse wants it, ``None`` for one that is not sent."""
        if isinstance(block, Text):
            return {"text": block.text}
        if isinstance(block, ToolCall):
            return {
                "toolUse": {
                    "toolUseId": block.id,
                    "name": block.name,
                    "input": self._arguments(block),
                }
            }
        if isinstance(block, ToolResult):
            return {"toolResult": {"toolUseId": block.id, "content": [{"text": block.result}]}}
        if isinstance(block, File):
            return self._file(block, files)
        if isinstance(block, Thought):
            return self._thought(block)
        assert isinstance(block, Unknown)
        return block.data

    def _arguments(self, call: ToolCall) -> Any:
        try:
            # A stream of a call without arguments has no text of them at all.
            return orjson.loads(call.arguments or "{}")
        except ValueError as error:
            raise InferenceClient(
                f"Error parsing tool call arguments as JSON: {error}",
                provider_type=self.type,
                api_type=self.api_type,
                status_code=400,
                reason="Bad Request",
            ) from None

    def _file(self, file: File, files: FileContents) -> dict[str, Any]:
        content = files[id(file)]
        if file.detail is not None:
            log.warning("AWS Bedrock has no image detail setting: it is not sent")
        source = {"bytes": content.data}
        kind, _, subtype = content.mime_type.partition("/")
        if kind == "image":
            return {"image": {"format": subtype, "source": source}}
        extension = extension_of(content.mime_type)
        return {"document": {"format": extension, "name": "input", "source": source}}

    def _thought(self, thought: Thought) -> dict[str, Any] | None:
        if thought.text is not None:
            reasoning = {"text": thought.text}
            if thought.signature is not None:
                reasoning["signature"] = thought.signature
            return {"reasoningContent": {"reasoningText": reasoning}}
        if thought.signature is not None and thought.provider_type == self.type:
            return {"reasoningContent": {"redactedContent": thought.signature}}
        log.warning("a thought without a text that AWS Bedrock could read is not sent")
        return None

    # --- answers

    def plain_answer(self, body: bytes) -> Answer | None:
        return read_plain_answer(body)

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        return read_answer(body, provider_type=self.type, attempt=attempt)

    def complete(self, answer: Answer, request: ModelRequest) -> None:
        if self._prefills(request):
            restore_prefill(answer.output)

    def reader(self, attempt: Attempt) -> ConverseReader:
        return ConverseReader(
            self.type, attempt, discards_unknown=self.config.discard_unknown_chunks
        )

    def reader_for(self, request: ModelRequest, attempt: Attempt) -> StreamReader:
        reader = self.reader(attempt)
        reader.prefilled = self._prefills(request)
        return reader

    def splitter(self) -> Splitter:
        return FrameParser()


def _tool_config(config: ToolCallConfig) -> dict[str, Any] | None:
    """``toolConfig``, ``None`` where no tools are offered."""
    tools = config.allowed_function_tools()
    if config.tool_choice == "none" or not tools:
        return None
    choice: dict[str, Any] = {"auto": {}}
    if isinstance(config.tool_choice, dict):
        choice = {"tool": {"name": config.tool_choice["specific"]}}
    elif config.tool_choice == "required":
        choice = {"any": {}}
    return {
        "tools": [
            {
                "toolSpec": {
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": {"json": tool.parameters.value},
                }
            }
            for tool in tools
        ],
        "toolChoice": choice,
    }
