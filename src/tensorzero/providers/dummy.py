"""``type = "dummy"``: answers offline, for demos, tests and load tests.

The model name says what it does: ``text``, ``echo``, ``json``, ``tool_call`` … with options for
latency, failures, chunks and usage; ``docs/dummy.md`` has the list.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import orjson

from tensorzero.config.model import ProviderConfig
from tensorzero.providers.base import (
    ProviderContext,
    ProviderStream,
    StreamItem,
    visible_messages,
)
from tensorzero.providers.chat_completions.tools import (
    refuse_custom_tools,
    refuse_provider_tools,
)
from tensorzero.providers.credentials import api_key
from tensorzero.providers.extra import apply_extra_body, extra_headers
from tensorzero.providers.instance import minimal_instance
from tensorzero.types.content import Message, OutputBlock, Text, Thought, ToolCall, Unknown
from tensorzero.types.dummy import parse_dummy_model
from tensorzero.types.errors import (
    FatalStreamError,
    GatewayError,
    IncompatibleTool,
    InferenceClient,
    InferenceServer,
)
from tensorzero.types.files import File
from tensorzero.types.model import (
    Attempt,
    ChunkBlock,
    ModelRequest,
    ProviderChunk,
    ProviderResponse,
    TextChunk,
    ThoughtChunk,
    ToolCallChunk,
    UnknownChunk,
)
from tensorzero.types.usage import ApiType, FinishReason, RawUsage, Usage

DEFAULT_TEXT = (
    "This answer comes from the built-in dummy provider: nothing was sent anywhere, and no key "
    "is needed."
)
FINISH_ON_WIRE = {"tool_call": "tool_calls"}


class DummyProvider:
    """A model that lives in the gateway."""

    type = "dummy"
    api_type: ApiType = "chat_completions"

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        self.context = context
        self.config = config
        self.model_name: str = config.options["model_name"]
        self.model = parse_dummy_model(self.model_name)
        self.calls = 0

    async def infer(self, request: ModelRequest, attempt: Attempt) -> ProviderResponse:
        raw_request, messages, rng = self._begin(request, attempt)
        started = asyncio.get_running_loop().time()
        await self._wait(rng, "latency_ms")
        self._maybe_fail(rng, raw_request)
        output = self._output(request, attempt, messages)
        usage = self._usage(request, messages, output)
        finish = self._finish(output)
        body = self._body(output, usage, finish)
        elapsed = int((asyncio.get_running_loop().time() - started) * 1000)
        return ProviderResponse(
            attempt.model_inference_id,
            output,
            raw_request,
            orjson.dumps(body).decode(),
            usage,
            self._raw_usage(body.get("usage"), attempt),
            finish,
            elapsed,
            messages,
            request.system,
        )

    async def stream(self, request: ModelRequest, attempt: Attempt) -> ProviderStream:
        raw_request, messages, rng = self._begin(request, attempt)
        await self._wait(rng, "latency_ms")
        await self._wait(rng, "ttft_ms")
        self._maybe_fail(rng, raw_request)
        output = self._output(request, attempt, messages)
        return ProviderStream(
            self._chunks(request, attempt, messages, output, rng, raw_request),
            raw_request,
            messages,
            request.system,
        )

    def _begin(
        self, request: ModelRequest, attempt: Attempt
    ) -> tuple[str, list[Message], random.Random]:
        api_key(self.config.credential, attempt.credentials, "Dummy")
        if request.tool_config is not None:
            refuse_custom_tools(request.tool_config, self.type)
            refuse_provider_tools(request, attempt, self.type)
        messages = visible_messages(request, attempt, self.type)
        body: dict[str, Any] = {
            "messages": _wire_messages(request.system, messages),
            "model": self.model_name,
            "stream": request.stream,
        }
        apply_extra_body(body, request, self.config, attempt)
        raw_request = orjson.dumps(body).decode()
        self.calls += 1
        seed = self.model.options.get("rand_seed")
        if seed is None:
            seed = str(request.params.seed) if request.params.seed is not None else raw_request
        # A failing demo model should not fail for ever on one input: the call number takes part.
        digest = sha256(f"{seed}/{self.calls}".encode()).digest()
        return raw_request, messages, random.Random(digest)

    async def _wait(self, rng: random.Random, option: str) -> None:
        delay = self.model.integer(option, 0)
        if option == "latency_ms":
            delay += rng.randint(0, self.model.integer("jitter_ms", 0))
        if delay:
            await asyncio.sleep(delay / 1000)

    def _maybe_fail(self, rng: random.Random, raw_request: str) -> None:
        model = self.model
        every = model.integer("fail_every", 0)
        fails = (
            model.behaviour == "error"
            or (every > 0 and self.calls % every == 0)
            or self.calls <= model.integer("fail_first", 0)
            or rng.random() < model.number("error_rate", 0.0)
        )
        if fails:
            raise self._error(raw_request)

    def _error(self, raw_request: str) -> GatewayError:
        status = self.model.integer("status", 500)
        message = self.model.options.get("message", "the dummy provider was told to fail")
        if status in (400, 401, 403, 429):
            return InferenceClient(
                message,
                provider_type=self.type,
                api_type=self.api_type,
                status_code=status,
                raw_request=raw_request,
                raw_response=message,
                debug=self.context.debug,
            )
        return InferenceServer(
            message,
            provider_type=self.type,
            api_type=self.api_type,
            raw_request=raw_request,
            raw_response=message,
            debug=self.context.debug,
        )

    def _output(
        self, request: ModelRequest, attempt: Attempt, messages: list[Message]
    ) -> list[OutputBlock]:
        options = self.model.options
        behaviour = self.model.behaviour
        config = request.tool_config
        forced = config is not None and (
            config.tool_choice == "required" or isinstance(config.tool_choice, dict)
        )
        if behaviour == "tool_call" or (behaviour == "json" and forced):
            return self._tool_calls(request)
        if behaviour == "echo":
            return [Text(_last_user_text(messages))]
        if behaviour == "json":
            if "value" in options:
                return [Text(options["value"])]
            schema = request.output_schema.value if request.output_schema is not None else {}
            return [Text(orjson.dumps(minimal_instance(schema)).decode())]
        if behaviour == "invalid_json":
            return [Text("this is { not JSON")]
        if behaviour == "thought":
            thought = Thought(
                "The user expects a short answer.",
                options.get("signature"),
                provider_type=self.type,
            )
            return [thought, Text(options.get("text", DEFAULT_TEXT))]
        if behaviour == "empty":
            return [Text("")]
        if behaviour == "none":
            return []
        if behaviour == "unknown":
            return [Unknown({"type": "dummy_block"}, attempt.model_name, attempt.provider_name)]
        if behaviour == "request":
            return [Text(orjson.dumps(self._request_json(request, attempt, messages)).decode())]
        return [Text(options.get("text", DEFAULT_TEXT))]

    def _tool_calls(self, request: ModelRequest) -> list[OutputBlock]:
        config = request.tool_config
        tools = () if config is None else config.allowed_function_tools()
        if not tools or config is None:
            raise IncompatibleTool("The dummy behaviour `tool_call` needs a tool in the request")
        tool = tools[0]
        if isinstance(config.tool_choice, dict):
            wanted = config.tool_choice["specific"]
            tool = next((one for one in tools if one.name == wanted), tool)
        arguments = self.model.options.get("args")
        if arguments is None:
            arguments = orjson.dumps(minimal_instance(tool.parameters.value)).decode()
        return [
            ToolCall(f"call_{index}", tool.name, arguments)
            for index in range(self.model.integer("n", 1))
        ]

    def _request_json(
        self, request: ModelRequest, attempt: Attempt, messages: list[Message]
    ) -> dict[str, Any]:
        params = {
            name: value
            for name in (
                "temperature",
                "top_p",
                "presence_penalty",
                "frequency_penalty",
                "max_tokens",
                "seed",
                "stop_sequences",
                "reasoning_effort",
                "service_tier",
                "thinking_budget_tokens",
                "verbosity",
            )
            if (value := getattr(request, name)) is not None
        }
        headers, _ = extra_headers(request, self.config, attempt)
        config = request.tool_config
        return {
            "system": request.system,
            "messages": [message.to_json() for message in messages],
            "tools": [] if config is None else [tool.to_json() for tool in config.tools],
            "tool_choice": None if config is None else config.tool_choice,
            "params": params,
            "json_mode": request.json_mode,
            "function_type": request.function_type,
            "output_schema": None if request.output_schema is None else request.output_schema.value,
            "credentials": sorted(attempt.credentials),
            "extra_headers": headers,
        }

    def _finish(self, output: list[OutputBlock]) -> FinishReason:
        chosen = self.model.options.get("finish")
        if chosen is not None:
            return chosen  # type: ignore[return-value]  # checked when the name was parsed
        return "tool_call" if any(isinstance(block, ToolCall) for block in output) else "stop"

    def _usage(
        self, request: ModelRequest, messages: list[Message], output: list[OutputBlock]
    ) -> Usage:
        if self.model.options.get("usage") == "none":
            return Usage()
        words_in = _words(request.system or "") + sum(
            _words(block.text)
            for message in messages
            for block in message.content
            if isinstance(block, Text)
        )
        words_out = sum(_words(_text_of(block)) for block in output)
        return Usage(
            self.model.integer("input_tokens", words_in),
            self.model.integer("output_tokens", words_out),
        )

    def _raw_usage(self, usage: Any, attempt: Attempt) -> RawUsage | None:
        if usage is None:
            return None
        return RawUsage(attempt.model_inference_id, self.type, self.api_type, usage)

    def _body(
        self, output: list[OutputBlock], usage: Usage, finish: FinishReason
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        calls = []
        for block in output:
            if isinstance(block, Text):
                message["content"] = (message["content"] or "") + block.text
            elif isinstance(block, Thought):
                message["reasoning_content"] = block.text
            elif isinstance(block, ToolCall):
                calls.append(
                    {
                        "id": block.id,
                        "type": "function",
                        "function": {"name": block.name, "arguments": block.arguments},
                    }
                )
        if calls:
            message["tool_calls"] = calls
        body: dict[str, Any] = {
            "object": "chat.completion",
            "model": self.model_name,
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "finish_reason": FINISH_ON_WIRE.get(finish, finish),
                }
            ],
        }
        if usage.input_tokens is not None:
            body["usage"] = _wire_usage(usage)
        return body

    async def _chunks(
        self,
        request: ModelRequest,
        attempt: Attempt,
        messages: list[Message],
        output: list[OutputBlock],
        rng: random.Random,
        raw_request: str,
    ) -> AsyncIterator[StreamItem]:
        interval = self.model.integer("interval_ms", 0) / 1000
        error_at = self.model.integer("stream_error_at", 0)
        fatal_at = self.model.integer("stream_fatal_at", 0)
        pieces = _pieces(output, self.model.integer("chunks", 10))
        for number, block in enumerate(pieces, 1):
            if number > 1 and interval:
                await asyncio.sleep(interval)
            if number == error_at:
                yield InferenceServer(
                    "the dummy provider was told to send a bad event",
                    provider_type=self.type,
                    api_type=self.api_type,
                    raw_request=raw_request,
                    debug=self.context.debug,
                )
            if number == fatal_at:
                yield FatalStreamError(
                    "the dummy provider was told to break the stream",
                    provider_type=self.type,
                    api_type=self.api_type,
                    raw_request=raw_request,
                    debug=self.context.debug,
                )
                return
            payload = {
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": _wire_delta(block)}],
            }
            yield ProviderChunk([block], orjson.dumps(payload).decode())
        usage = self._usage(request, messages, output)
        finish = self._finish(output)
        last: dict[str, Any] = {
            "object": "chat.completion.chunk",
            "choices": [
                {"index": 0, "delta": {}, "finish_reason": FINISH_ON_WIRE.get(finish, finish)}
            ],
        }
        raw_usage = None
        if usage.input_tokens is not None:
            last["usage"] = _wire_usage(usage)
            raw_usage = self._raw_usage(last["usage"], attempt)
        yield ProviderChunk([], orjson.dumps(last).decode(), usage, raw_usage, finish)


def _wire_usage(usage: Usage) -> dict[str, int]:
    prompt, completion = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _wire_messages(system: str | None, messages: list[Message]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    index = 0
    for message in messages:
        content: list[Any] = []
        for block in message.content:
            if isinstance(block, File) and block.data is not None:
                content.append({"type": "file", "data": f"<TENSORZERO_FILE_{index}>"})
                index += 1
            else:
                content.append(block.to_json())
        only = message.content[0] if len(message.content) == 1 else None
        out.append(
            {"role": message.role, "content": only.text if isinstance(only, Text) else content}
        )
    return out


def _last_user_text(messages: list[Message]) -> str:
    for message in reversed(messages):
        if message.role == "user":
            for block in reversed(message.content):
                if isinstance(block, Text):
                    return block.text
    return ""


def _words(text: str) -> int:
    return len(text.split())


def _text_of(block: OutputBlock) -> str:
    if isinstance(block, Text | Thought):
        return block.text or ""
    return block.arguments if isinstance(block, ToolCall) else ""


def _split(text: str, count: int) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]


def _pieces(output: list[OutputBlock], count: int) -> list[ChunkBlock]:
    """The output cut into about ``count`` chunks a block."""
    pieces: list[ChunkBlock] = []
    for block in output:
        if isinstance(block, Text):
            pieces += [TextChunk("0", part) for part in _split(block.text, count)]
        elif isinstance(block, Thought):
            pieces.append(
                ThoughtChunk("1", block.text, block.signature, provider_type=block.provider_type)
            )
        elif isinstance(block, ToolCall):
            for index, part in enumerate(_split(block.arguments, count)):
                pieces.append(ToolCallChunk(block.id, block.name if index == 0 else None, part))
        else:
            pieces.append(UnknownChunk("0", block.data, block.model_name, block.provider_name))
    return pieces


def _wire_delta(block: ChunkBlock) -> dict[str, Any]:
    if isinstance(block, TextChunk):
        return {"content": block.text}
    if isinstance(block, ThoughtChunk):
        return {"reasoning_content": block.text}
    if isinstance(block, ToolCallChunk):
        function = {"name": block.raw_name, "arguments": block.raw_arguments}
        return {"tool_calls": [{"index": 0, "id": block.id, "function": function}]}
    return {"unknown": block.data}
