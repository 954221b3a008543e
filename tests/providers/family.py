"""What each OpenAI-like type must send, written down from the vendors' API references and the
contract's sheets: paths, and whole bodies byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from providers.calls import Outcome, call, request, user
from tensorzero.types.model import ModelRequest
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool, ToolCallConfig
from upstream.scripted import Script

SCHEMA = JSONSchema({"type": "object"})
WEATHER = FunctionTool("weather_key", "weather", "The weather", SCHEMA, strict=True)
TIME = FunctionTool("time", "time", "The time", SCHEMA)
HI = '"messages":[{"role":"user","content":"hi"}]'
LISTED_HI = '"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]'
USAGE = '"stream_options":{"include_usage":true}'
STRICT = (
    '"response_format":{"type":"json_schema","json_schema":{"name":"response","strict":true,'
    '"schema":{"type":"object"}}}'
)
OBJECT = '"response_format":{"type":"json_object"}'
OBJECT_SCHEMA = '"response_format":{"type":"json_object","schema":{"type":"object"}}'
BARE_TOOL = (
    '"tools":[{"type":"function","function":{"name":"weather","description":"The weather",'
    '"parameters":{"type":"object"}}}],"tool_choice":"auto"'
)
TOOL = BARE_TOOL.replace("}}}]", '}},"strict":true}]')
PARALLEL = f'{TOOL},"parallel_tool_calls":true'
PENALTIES = '"presence_penalty":0.5,"frequency_penalty":-0.5'
STOP = '"stop":["x","y"]'
EFFORT = '"reasoning_effort":"low"'

EVERYTHING: dict[str, Any] = {
    "temperature": 0.5,
    "max_tokens": 7,
    "seed": 1,
    "top_p": 0.25,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "stop_sequences": ("x", "y"),
    "reasoning_effort": "low",
    "service_tier": "auto",
    "thinking_budget_tokens": 9,
    "verbosity": "high",
    "json_mode": "strict",
    "output_schema": SCHEMA,
}


def everything() -> ModelRequest:
    """A request with every parameter and a tool."""
    config = ToolCallConfig((WEATHER,), parallel_tool_calls=True)
    return request(user("hi"), tool_config=config, **EVERYTHING)


@dataclass(frozen=True)
class Sheet:
    """One type. ``minimal``, ``everything`` and ``streaming`` are what follows the messages.

    ``drops``: parameters of ``EVERYTHING`` that are warned about. ``writes``/``reads``: the field
    of thoughts in messages and in answers.
    """

    type: str
    url: str
    everything: str
    drops: tuple[str, ...]
    minimal: str = '"model":"m1","stream":false'
    streaming: str = f'"model":"m1","stream":true,{USAGE}'
    hi: str = HI
    writes: str | None = "reasoning_content"
    reads: str | None = "reasoning_content"
    stream_thought_id: str = "1"
    on: str | None = OBJECT
    on_instruction: bool = True
    tools: bool = True
    restricts: bool = False
    required: Any = "required"
    parallel: bool = True
    key_header: str = "authorization"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return "/" + self.url.split("/", 3)[3]

    def call(self, given: ModelRequest, *scripts: Script, **fields: Any) -> Outcome:
        options = {**self.options, **fields.pop("options", {})}
        hosts = (urlsplit(self.url).netloc,)
        return call(
            given, *scripts, type=self.type, model="m1", options=options, hosts=hosts, **fields
        )

    def sent(self, given: ModelRequest, **fields: Any) -> str:
        outcome = self.call(given, **fields)
        assert outcome.answered().raw_request == outcome.body
        return outcome.body


W_ALL = ("reasoning_effort", "service_tier", "thinking_budget_tokens", "verbosity")
W_MOST = ("service_tier", "thinking_budget_tokens", "verbosity")

SHEETS = [
    Sheet(
        "azure",
        "https://r.openai.azure.com/openai/deployments/dep%20loy/chat/completions"
        "?api-version=2025-04-01-preview",
        f'"temperature":0.5,"top_p":0.25,{STOP},{PENALTIES},"max_completion_tokens":7,"seed":1,'
        f'"stream":false,{STRICT},{TOOL},{EFFORT},"service_tier":"auto","verbosity":"high"',
        ("thinking_budget_tokens",),
        minimal='"stream":false',
        streaming=f'"stream":true,{USAGE}',
        restricts=True,
        required="auto",
        parallel=False,
        key_header="api-key",
        options={"deployment_id": "dep loy", "endpoint": "https://r.openai.azure.com"},
    ),
    Sheet(
        "deepseek",
        "https://api.deepseek.com/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"max_tokens":7,"seed":1,"top_p":0.25,{STOP},{PENALTIES},'
        f'"stream":false,{TOOL},{OBJECT}',
        (*W_ALL, "JSON mode with a schema"),
        parallel=False,
        stream_thought_id="0",
    ),
    Sheet(
        "fireworks",
        "https://api.fireworks.ai/inference/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"top_p":0.25,{PENALTIES},{STOP},"max_tokens":7,'
        f'"stream":false,{OBJECT_SCHEMA},{BARE_TOOL},{EFFORT}',
        W_MOST,
        streaming='"model":"m1","stream":true',
        on=OBJECT_SCHEMA,
        on_instruction=False,
        parallel=False,
        stream_thought_id="3",
    ),
    Sheet(
        "groq",
        "https://api.groq.com/openai/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"max_completion_tokens":7,"seed":1,"top_p":0.25,'
        f'{PENALTIES},"stream":false,{STRICT},{PARALLEL},{STOP},{EFFORT},"service_tier":"auto"',
        ("thinking_budget_tokens", "verbosity"),
        minimal='"model":"m1","stream":false,"response_format":{"type":"text"}',
        streaming=f'"model":"m1","stream":true,{USAGE},"response_format":{{"type":"text"}}',
        writes=None,
        reads="reasoning",
        stream_thought_id="reasoning",
        restricts=True,
    ),
    Sheet(
        "hyperbolic",
        "https://api.hyperbolic.xyz/v1/chat/completions",
        '"model":"m1","frequency_penalty":-0.5,"max_tokens":7,"presence_penalty":0.5,"seed":1,'
        f'"stream":false,"temperature":0.5,"top_p":0.25,{STOP},{EFFORT}',
        W_MOST,
        streaming='"model":"m1","stream":true',
        on=None,
        tools=False,
    ),
    Sheet(
        "mistral",
        "https://api.mistral.ai/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"top_p":0.25,{PENALTIES},"max_tokens":7,"random_seed":1,'
        f'"stream":false,{OBJECT},{BARE_TOOL},{STOP}',
        W_ALL,
        streaming='"model":"m1","stream":true',
        on_instruction=False,
        required="any",
        parallel=False,
    ),
    Sheet(
        "openrouter",
        "https://openrouter.ai/api/v1/chat/completions",
        '"model":"m1","temperature":0.5,"max_completion_tokens":7,"seed":1,"top_p":0.25,'
        f'{PENALTIES},"stream":false,{STRICT},{PARALLEL},{STOP},'
        '"reasoning":{"effort":"low","max_tokens":9},"verbosity":"high"',
        ("service_tier",),
        writes=None,
        reads=None,
        restricts=True,
    ),
    Sheet(
        "sglang",
        "http://h/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"max_tokens":7,"seed":1,"top_p":0.25,{PENALTIES},'
        f'"stream":false,{STRICT},{PARALLEL},{STOP},{EFFORT}',
        W_MOST,
        on=STRICT,
    ),
    Sheet(
        "tgi",
        "http://h/v1/chat/completions",
        f'"model":"tgi","temperature":0.5,"max_tokens":7,"seed":1,"top_p":0.25,{PENALTIES},'
        f'"stream":false,{PARALLEL},{STOP}',
        (*W_ALL, "JSON mode"),
        minimal='"model":"tgi","stream":false',
        streaming=f'"model":"tgi","stream":true,{USAGE}',
        on=None,
    ),
    Sheet(
        "together",
        "https://api.together.xyz/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"top_p":0.25,{PENALTIES},"max_tokens":7,"seed":1,'
        f'"stream":false,{OBJECT_SCHEMA},{PARALLEL},{STOP},{EFFORT}',
        W_MOST,
        streaming='"model":"m1","stream":true',
        on=OBJECT_SCHEMA,
        on_instruction=False,
        writes="reasoning",
        reads="reasoning",
        required="auto",
        stream_thought_id="3",
    ),
    Sheet(
        "vllm",
        "http://h/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"top_p":0.25,{PENALTIES},"max_tokens":7,"stream":false,'
        f'"guided_json":{{"type":"object"}},"seed":1,{STOP},{PARALLEL}',
        W_ALL,
        on='"guided_json":{"type":"object"}',
        on_instruction=False,
        writes="reasoning",
        reads="reasoning",
    ),
    Sheet(
        "xai",
        "https://api.x.ai/v1/chat/completions",
        f'"model":"m1","temperature":0.5,"max_tokens":7,"seed":1,"top_p":0.25,{PENALTIES},'
        f'{STRICT},"stream":false,{PARALLEL},{STOP},{EFFORT}',
        W_MOST,
        hi=LISTED_HI,
    ),
]
BY_TYPE = {sheet.type: sheet for sheet in SHEETS}
NAMES = [sheet.type for sheet in SHEETS]
