"""The short way of an inference: what most of them are, without a task and its layers.

A request of the common form to a function whose variants are all plain calls of plain providers
needs nothing that waits but the provider. It is sent in the callback that read it, and read,
recorded and answered in the callback that brings the provider's answer. Each step is the one that
the long way takes (``prepare``, ``infer`` and the layers below); what is left out is what such a
request cannot need. Whatever is not of this kind is left to the long way: before it is sent, as
if it had not been looked at; after that together with what came (``Begun``), so that refusals,
retries and fallbacks are written once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Generic, Protocol, TypeVar

from tensorzero.config.function import FunctionConfig
from tensorzero.config.model import ProviderConfig
from tensorzero.config.variant import ChatCompletionConfig
from tensorzero.functions.input import validate_input
from tensorzero.gateway.answer import Answer
from tensorzero.gateway.episode import check_episode_id
from tensorzero.gateway.inference import Begun, Inference
from tensorzero.gateway.record import append, function_output
from tensorzero.gateway.request import InferenceRequest
from tensorzero.gateway.running import Running
from tensorzero.gateway.services import Services
from tensorzero.gateway.tags import check_tags
from tensorzero.models.cost import response_cost
from tensorzero.providers.http import Answer as ProviderAnswer
from tensorzero.providers.http import HttpProvider, PlainCall
from tensorzero.types.content import Input, Message
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import EarlyAnswer, ModelResult, ProviderResponse
from tensorzero.types.params import ChatCompletionParams
from tensorzero.types.usage import RawUsage
from tensorzero.variants.chat_completion import prepare_call
from tensorzero.variants.context import VariantContext
from tensorzero.variants.render import render_messages, render_system
from tensorzero.variants.sampling import VariantSampler
from tzcore.client import ClientError, ConnectionLost, Response
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)

Token = TypeVar("Token")
Asked = TypeVar("Asked", contravariant=True)
"""What the caller knows a request by."""


class Caller(Protocol[Asked]):
    """Who has asked, and gets exactly one of these for a request that was begun."""

    def answered(self, token: Asked, answer: Answer, outbound_s: float) -> None:
        """It is complete and recorded; a provider took ``outbound_s`` seconds of its time."""

    def go_on(self, token: Asked, request: InferenceRequest, begun: Begun) -> None:
        """The long way is to take it from here."""

    def failed(self, token: Asked) -> None:
        """A fault of ours, which has been logged."""


@dataclass(frozen=True, slots=True)
class VariantPlan:
    """A variant whose first attempt can be sent as it is."""

    name: str
    config: ChatCompletionConfig
    params: ChatCompletionParams
    call: PlainCall
    model_name: str
    provider: ProviderConfig
    provider_type: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A function all of whose variants have plans; ``active`` as in ``Services.drawable``."""

    function: FunctionConfig
    active: tuple[str, ...]
    sole: VariantPlan | None
    variants: Mapping[str, VariantPlan]


class ShortWay(Generic[Token]):
    """Begins inferences for one caller."""

    def __init__(self, services: Services, running: set[Running], caller: Caller[Token]) -> None:
        self.services = services
        self.running = running
        self.caller = caller
        self.pool = services.models.context.pool
        self.templates = services.config.templates
        # Where an answer waits for the database, it is the task that waits.
        self._plans: dict[str, Plan | None] = {}
        self._open = not services.waits_for_database

    def begin(self, token: Token, request: InferenceRequest, received_at: float) -> bool:
        """Whether it has been begun; if not, nothing has been done."""
        name = request.function_name
        if (
            name is None
            or not request.common
            or request.stream
            or request.dryrun
            or request.variant_name is not None
            or request.model_name is not None
        ):
            return False
        plan = self._plans[name] if name in self._plans else self._plan(name)
        if plan is None:
            return False
        services = self.services
        given = request.input
        inference = Inference(request, services, received_at, uuid7())
        try:
            if request.tags:
                check_tags(request.tags)
                inference.tags = request.tags
            episode_id = request.episode_id
            if episode_id is None:
                episode_id = uuid7()
            elif check_episode_id(episode_id):
                return False
            inference.episode_id = episode_id
            inference.function = plan.function
            inference.variants = plan.function.variants
            validate_input(plan.function, given, debug=False)
            variant = plan.sole or self._draw(plan, episode_id)
            templates = variant.config.templates
            messages = render_messages(given, templates, self.templates)
            system = render_system(given, templates, self.templates)
            payload = variant.call.body(system, messages)
            if payload is None:
                return False
            services.recorder.check()
        except (GatewayError, UnicodeEncodeError):
            return False  # the long way says so
        inference.sole_variant = variant.name
        call = ShortCall(self, token, inference, variant, payload, messages, system)
        if not self.pool.begin(variant.call.target, payload, variant.call.timeout_s, call.receive):
            return False  # a connection has to be opened first
        services.metrics.inference(name, None)
        self.running.add(call)
        return True

    def _draw(self, plan: Plan, episode_id: str) -> VariantPlan:
        return plan.variants[VariantSampler(plan.function, plan.active, episode_id, None).next()]

    def _plan(self, name: str) -> Plan | None:
        """Made when a function is first asked for; names that are none come from requests."""
        function = self.services.config.functions.get(name)
        if function is None:
            return None
        plan = self._plans[name] = self._make_plan(function) if self._open else None
        return plan

    def _make_plan(self, function: FunctionConfig) -> Plan | None:
        active = self.services.drawable[function.name]
        if function.tools or not active:
            return None
        variants: dict[str, VariantPlan] = {}
        for name in active:
            try:
                variant = self._variant(function, name)
            except GatewayError:
                variant = None
            if variant is None:
                return None
            variants[name] = variant
        single = len(active) == 1 and function.experimentation is None
        return Plan(function, active, variants[active[0]] if single else None, variants)

    def _variant(self, function: FunctionConfig, name: str) -> VariantPlan | None:
        """Raises ``GatewayError`` where the variant cannot be run at all."""
        config = function.variants[name]
        if not isinstance(config, ChatCompletionConfig) or config.type != "chat_completion":
            return None
        services = self.services
        context = VariantContext(function, Input([]), "", "", services.models, self.templates)
        # Templates are left out: the system one may want arguments.
        bare = replace(config, templates={})
        model, request, params = prepare_call(bare, context)
        route = model.routes[0]
        deadlines = (config.timeouts, model.config.timeouts, route.config.timeouts)
        if any(deadline.non_streaming_total_ms is not None for deadline in deadlines):
            return None
        if request.tool_config is not None or not isinstance(route.provider, HttpProvider):
            return None
        call = route.provider.plain_call(request)
        if call is None:
            return None
        return VariantPlan(
            name, config, params, call, model.name, route.config, route.provider.type
        )


class ShortCall(Generic[Token]):
    """One inference on the short way, from its only attempt to its answer."""

    __slots__ = (
        *("way", "token", "inference", "variant", "payload", "messages", "system"),
        *("model_inference_id", "started", "joined"),
    )

    def __init__(
        self,
        way: ShortWay[Token],
        token: Token,
        inference: Inference,
        variant: VariantPlan,
        payload: bytes,
        messages: list[Message],
        system: str | None,
    ) -> None:
        self.way = way
        self.token = token
        self.inference = inference
        self.variant = variant
        self.payload = payload
        self.messages = messages
        self.system = system
        self.model_inference_id = uuid7()
        self.started = monotonic()
        self.joined: asyncio.Future[None] | None = None

    async def join(self) -> None:
        """Wait until it has ended, or goes on the long way."""
        if self in self.way.running:
            self.joined = self.joined or asyncio.get_running_loop().create_future()
            await self.joined

    def _leave(self) -> None:
        self.way.running.discard(self)
        if self.joined is not None and not self.joined.done():
            self.joined.set_result(None)

    def receive(self, response: Response | None, error: ClientError | None) -> None:
        """Called by the event loop with what came of the attempt."""
        way = self.way
        try:
            read = None
            if response is not None and response.status < 300:
                read = self._read(response)
            if response is None or read is None:
                self._go_on(response, error)
                return
            elapsed = monotonic() - self.started
            answer = self._finish(response, read, elapsed)
            self._leave()
            way.caller.answered(self.token, answer, elapsed)
        except Exception:  # a fault of ours: logged whole, answered without detail
            log.exception("an inference failed unexpectedly")
            self._leave()
            way.caller.failed(self.token)

    def _read(self, response: Response) -> ProviderAnswer | None:
        if response.status < 200 or response.coded:
            return None
        return self.variant.call.answer(response.body)

    def _go_on(self, response: Response | None, error: ClientError | None) -> None:
        inference = self.inference
        early: EarlyAnswer | None = EarlyAnswer(response, error, self.started)
        if isinstance(error, ConnectionLost) and error.unanswered:
            early = None  # the server had closed an idle connection: nothing was asked
        elif response is not None and 300 <= response.status < 400:
            early = None  # the pool follows it
        begun = Begun(inference.id, inference.episode_id, early)
        self.way.caller.go_on(self.token, inference.request, begun)
        self._leave()

    def _finish(self, response: Response, read: ProviderAnswer, elapsed: float) -> Answer:
        inference, variant, call = self.inference, self.variant, self.variant.call
        raw_response = response.body.decode("utf-8", "replace")
        usage = read.usage
        if variant.provider.cost is not None:
            usage.cost = response_cost(variant.provider.cost, raw_response)
        raw_usage = None
        if read.raw_usage is not None:
            raw_usage = RawUsage(
                self.model_inference_id, call.usage_type, call.api_type, read.raw_usage
            )
        result = ModelResult(
            ProviderResponse(
                self.model_inference_id,
                read.output,
                self.payload.decode(),
                raw_response,
                usage,
                raw_usage,
                read.finish_reason,
                int(elapsed * 1000),
                self.messages,
                self.system,
            ),
            variant.model_name,
            variant.provider.name,
            variant.provider_type,
        )
        output = function_output(inference, result.response)
        given = inference.request.input
        append(inference, given, variant.name, output, [result], variant.params, None)
        return Answer(inference, variant.name, output, usage, read.finish_reason)
