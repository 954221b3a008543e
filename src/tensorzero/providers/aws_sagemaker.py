"""``type = "aws_sagemaker"``: a model behind an endpoint of one's own on Amazon SageMaker.

The endpoint speaks what its container speaks: ``hosted_provider`` says which type that is, and
that type writes the bodies and reads the answers. Source: the contract's page on the OpenAI-like
family, section 8.14.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from tensorzero.config.credentials import NoCredential
from tensorzero.config.model import ProviderConfig
from tensorzero.providers.aws.event_stream import FrameError, FrameParser
from tensorzero.providers.aws.failures import AwsFailures
from tensorzero.providers.aws.provider import AwsProvider
from tensorzero.providers.base import ProviderContext, Splitter
from tensorzero.providers.chat_completions.provider import ChatCompletionsProvider
from tensorzero.providers.files import FileContents
from tensorzero.providers.http import Answer
from tensorzero.providers.openai import OpenAIProvider
from tensorzero.providers.reader import StreamReader
from tensorzero.providers.tgi import TGIProvider
from tensorzero.types.content import Message
from tensorzero.types.files import File
from tensorzero.types.model import Attempt, ModelRequest
from tzcore.sse import SSEParser


class HostedOpenAI(OpenAIProvider):
    """Chat Completions of a container that speaks as OpenAI does."""

    thought_type = "aws_sagemaker::openai"


class HostedTGI(TGIProvider):
    """Chat Completions of Text Generation Inference in a container."""

    thought_type = "aws_sagemaker::tgi"


HOSTED: dict[str, type[ChatCompletionsProvider]] = {"openai": HostedOpenAI, "tgi": HostedTGI}


class SagemakerFailures(AwsFailures):
    service = "Sagemaker"


class SagemakerProvider(AwsProvider):
    """InvokeEndpoint and InvokeEndpointWithResponseStream."""

    type = "aws_sagemaker"
    display_name = "AWS Sagemaker"
    service = "sagemaker"
    host = "runtime.sagemaker"
    failures_type = SagemakerFailures

    def __init__(self, context: ProviderContext, config: ProviderConfig) -> None:
        super().__init__(context, config)
        options = config.options
        hosted_type: str = options["hosted_provider"]
        self.hosted = HOSTED[hosted_type](
            context,
            ProviderConfig(
                config.name, hosted_type, {"model_name": options["model_name"]}, NoCredential()
            ),
        )
        self.usage_type = hosted_type
        self.reads_thoughts_of = f"{self.type}::{hosted_type}"
        self._place = f"endpoints/{quote(options['endpoint_name'], safe='-_.~')}/invocations"

    def path(self, *, stream: bool) -> str:
        return f"{self._place}-response-stream" if stream else self._place

    def check(self, request: ModelRequest, attempt: Attempt) -> None:
        self.hosted.check(request, attempt)

    def inlines(self, file: File, request: ModelRequest) -> bool:
        return self.hosted.inlines(file, request)

    def plain_body(self, request: ModelRequest, messages: list[Message]) -> bytes | None:
        return self.hosted.plain_body(request, messages)

    def body(
        self, request: ModelRequest, messages: list[Message], files: FileContents
    ) -> dict[str, Any]:
        return self.hosted.body(request, messages, files)

    def plain_answer(self, body: bytes) -> Answer | None:
        return self.hosted.plain_answer(body)

    def answer(self, body: Any, attempt: Attempt) -> Answer:
        return self.hosted.answer(body, attempt)

    def reader(self, attempt: Attempt) -> StreamReader:
        return self.hosted.reader(attempt)

    def splitter(self) -> Splitter:
        return PayloadParts()


class PayloadParts:
    """The event stream of the container, out of the frames that carry it in any pieces."""

    def __init__(self) -> None:
        self._frames = FrameParser()
        self._events = SSEParser()

    def feed(self, data: bytes) -> Iterator[bytes]:
        for frame in self._frames.feed(data):
            if frame.event_type == "PayloadPart":
                yield from self._events.feed(bytes(frame))

    def close(self) -> Iterable[bytes]:
        yield from self._events.close()
        if self._frames.incomplete:
            raise FrameError("the stream ended within a frame")
