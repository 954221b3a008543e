"""The stages of a hot request, each callable on its own, on real parts without a socket.

The provider's answer comes from memory; everything else (configuration, templates, provider,
rows, spool) is what a worker runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import orjson

from tensorzero.config.load import load
from tensorzero.functions.output import chat_output
from tensorzero.gateway.answer import Answer
from tensorzero.gateway.database import Parameter, Row
from tensorzero.gateway.feedback_targets import FeedbackTargets
from tensorzero.gateway.infer import infer
from tensorzero.gateway.inference import Inference
from tensorzero.gateway.metrics import Metrics
from tensorzero.gateway.prepare import prepare
from tensorzero.gateway.request import parse_inference_request
from tensorzero.gateway.rows import inference_row, model_row
from tensorzero.gateway.services import Services
from tensorzero.models.embedding import EmbeddingTable
from tensorzero.models.table import ModelTable
from tensorzero.providers.base import ProviderContext
from tensorzero.providers.openai import OpenAIProvider
from tensorzero.server.recording import ShipperLink, SpoolRecorder
from tensorzero.types.credentials import Credentials
from tensorzero.types.errors import ClickHouseConnection
from tensorzero.types.model import Attempt, ModelRequest, ModelResult
from tensorzero.variants.render import render_messages, render_system
from tensorzero.variants.sampling import VariantSampler
from tzcore.client import Pool, Target
from tzcore.metrics import Counters
from tzcore.spool import Writer
from tzcore.uuid7 import uuid7

Result = TypeVar("Result")

CONFIG = """
[functions.draft]
type = "chat"
schemas.user.path = "user_schema.json"
[functions.draft.experimentation]
type = "static"
candidate_variants = {first = 0.7, second = 0.3}
[functions.draft.variants.first]
type = "chat_completion"
model = "mock"
temperature = 0.7
templates.system.path = "system.minijinja"
templates.user.path = "user.minijinja"
[functions.draft.variants.second]
type = "chat_completion"
model = "mock"
templates.system.path = "system.minijinja"
templates.user.path = "user.minijinja"
[models.mock]
routing = ["mock"]
[models.mock.providers.mock]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "http://127.0.0.1:9/v1"
api_key_location = "none"
"""
SCHEMA = (
    '{"type":"object","properties":{"recipient":{"type":"string"},"purpose":{"type":"string"}},'
    '"required":["recipient","purpose"]}'
)
SYSTEM = "You write short, friendly e-mails."
USER = "Write an e-mail to {{ recipient }}.{% if purpose %} Purpose: {{ purpose }}.{% endif %}"
ARGUMENTS = {"recipient": "Ann", "purpose": "say thanks for the help with the move last week"}
REQUEST = orjson.dumps(
    {
        "function_name": "draft",
        "input": {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "template", "name": "user", "arguments": ARGUMENTS}],
                }
            ]
        },
        "tags": {"user": "u-4711"},
    }
)
ANSWER = orjson.dumps(
    {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Dear Ann,\n\nthank you so much for your help last week. " * 3,
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 39,
            "completion_tokens": 45,
            "total_tokens": 84,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
    }
)


class MemoryAnswer:
    """What a pool returns: the part of ``tzcore.client.Response`` that a good answer uses."""

    status = 200
    reason = b"OK"
    body = ANSWER

    def header(self, name: bytes) -> bytes | None:
        return b"application/json" if name == b"content-type" else None


class MemoryPool(Pool):
    """A pool whose one upstream server answers at once, from memory."""

    async def request(self, target: Target, body: bytes, **_: Any) -> Any:
        return MemoryAnswer()


class NoDatabase:
    async def query(
        self,
        sql: str,
        params: Mapping[str, Parameter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        raise ClickHouseConnection("No stage asks the database")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise RuntimeError("a stage waited for something")


def yardstick() -> Callable[[], object]:
    """What budgets are multiples of: a fixed piece of work, half JSON, half plain Python."""
    document = ANSWER

    def work() -> object:
        data = orjson.loads(document)
        found = {}
        for key, value in data.items():
            if isinstance(value, dict):
                found.update({f"{key}.{name}": entry for name, entry in value.items()})
            else:
                found[key] = value
        return orjson.dumps(found)

    return work


class HotPath:
    """Everything that a worker makes at start, and one request taken apart."""

    def __init__(self, folder: Path) -> None:
        (folder / "user_schema.json").write_text(SCHEMA)
        (folder / "system.minijinja").write_text(SYSTEM)
        (folder / "user.minijinja").write_text(USER)
        path = folder / "tensorzero.toml"
        path.write_text(CONFIG)
        config = load(str(path))
        context = ProviderContext(MemoryPool(user_agent=b"stages", trust_env=False), 300_000)
        self.writer = Writer(str(folder / "spool"))
        recorder = SpoolRecorder(
            self.writer, ShipperLink(str(folder / "none"), "stages"), required=True
        )
        self.services = Services(
            config=config,
            models=ModelTable(config.models, config.shorthands, context),
            embeddings=EmbeddingTable(config.embedding_models, config.shorthands, context),
            recorder=recorder,
            records=True,
            store=None,
            store_decided=True,
            reads=NoDatabase(),
            feedback_targets=FeedbackTargets(NoDatabase(), recorder),
            metrics=Metrics(Counters(), config.gateway.latency_overhead_buckets),
        )
        self.provider = OpenAIProvider(context, config.models["mock"].providers[0])
        self.attempt = Attempt("mock", "mock", uuid7(), Credentials())
        self.request = parse_inference_request(REQUEST)
        self.inference: Inference = self.prepare()
        self.variant = config.functions["draft"].variants["first"]
        self.model_request = ModelRequest(
            messages=self.render()[0],
            system=self.render()[1],
            params=getattr(self.variant, "params"),  # noqa: B009 - of every chat completion
            inference_id=self.inference.id,
        )
        self.response = run(self.provider.infer(self.model_request, self.attempt))
        self.result = ModelResult(self.response, "mock", "mock", "openai")
        self.output = chat_output(self.response.output, None, implicit_tool=False)
        self.rows = self.serialize_rows()

    def close(self) -> None:
        self.writer.close()

    def parse(self) -> Any:
        return parse_inference_request(REQUEST)

    def prepare(self) -> Any:
        return run(prepare(self.request, self.services, time.monotonic()))

    def sample(self) -> str:
        function = self.services.config.functions["draft"]
        active = self.services.drawable["draft"]
        return VariantSampler(function, active, self.inference.episode_id, None).next()

    def render(self) -> Any:
        templates = getattr(self.variant, "templates")  # noqa: B009 - of every chat completion
        engine = self.services.config.templates
        given = self.request.input
        return render_messages(given, templates, engine), render_system(given, templates, engine)

    def assemble(self) -> bytes:
        request = self.model_request
        body = self.provider.plain_body(request, request.messages)
        assert body is not None
        return body

    def parse_answer(self) -> Any:
        return self.provider.answer(orjson.loads(ANSWER), self.attempt)

    def serialize_answer(self) -> bytes:
        usage, reason = self.response.usage, self.response.finish_reason
        return Answer(self.inference, "first", self.output, usage, reason).to_native()

    def serialize_rows(self) -> list[tuple[bytes, bytes]]:
        row = inference_row(
            self.inference,
            given=self.request.input,
            variant_name="first",
            output=self.output,
            params=self.model_request.params,
            processing_time_ms=3,
            ttft_ms=None,
        )
        return [row, model_row(self.inference, "first", self.result)]

    def append(self) -> Any:
        return self.writer.append(self.rows)

    def whole(self) -> bytes:
        """Everything between the two sockets."""
        request = parse_inference_request(REQUEST)
        inference = run(prepare(request, self.services, time.monotonic()))
        return run(infer(inference)).to_native()


STAGES = (
    "parse",
    "prepare",
    "sample",
    "render",
    "assemble",
    "parse_answer",
    "serialize_answer",
    "serialize_rows",
    "append",
    "whole",
)
