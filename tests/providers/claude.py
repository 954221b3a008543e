"""Calls of both types that speak the Messages API, against the scripted server.

Answers and events are the vendor's documented ones
(https://docs.anthropic.com/en/api/messages, https://docs.anthropic.com/en/docs/build-with-claude/streaming).
"""

from __future__ import annotations

from typing import Any

import orjson

from providers.calls import Outcome, call, request
from tensorzero.config.credentials import DynamicCredential, StaticCredential
from tensorzero.types.model import ModelRequest
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool
from upstream.scripted import Script, answer, stream

ANTHROPIC = "anthropic"
VERTEX = "gcp_vertex_anthropic"
BOTH = (ANTHROPIC, VERTEX)
NAMES = {ANTHROPIC: "Anthropic", VERTEX: "GCP Vertex Anthropic"}
MODEL = "claude-sonnet-4-5"
VERTEX_OPTIONS = {
    "project_id": "proj",
    "location": "us-east5",
    "model_id": f"{MODEL}@20250929",
}
HOSTS = ("api.anthropic.com", "aiplatform.googleapis.com")
KEY = "not-a-key-of-anybody"
USAGE = {"input_tokens": 10, "output_tokens": 25}
SCHEMA = JSONSchema({"type": "object", "properties": {"name": {"type": "string"}}})


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


def says(*content: Any, stop: str | None = "end_turn", usage: Any = USAGE) -> dict[str, Any]:
    """A message of the vendor (texts by themselves)."""
    return {
        "id": "msg_013Zva2CMHLNnjNjJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [text(one) if isinstance(one, str) else one for one in content],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def event(kind: str, **fields: Any) -> bytes:
    """An event as the vendor frames it."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def start(index: int, kind: str, **fields: Any) -> bytes:
    block = {"type": kind, **fields}
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def ending(reason: str | None = "end_turn", **usage: Any) -> bytes:
    said = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=said, usage=usage or {"output_tokens": 15})


OPENING = event(
    "message_start",
    message=says(stop=None, usage={"input_tokens": 25, "output_tokens": 1}),
)
PING = event("ping")
STOP = event("message_stop")


def ask(type: str, given: ModelRequest | None = None, *scripts: Script, **options: Any) -> Outcome:
    """One call; without a script the server says hello."""
    if type == VERTEX:
        options.setdefault("credential", DynamicCredential("token"))
        options.setdefault("credentials", {"token": KEY})
        options.setdefault("options", VERTEX_OPTIONS)
    else:
        options.setdefault("credential", StaticCredential(KEY))
    options.setdefault("model", MODEL)
    scripts = scripts or (answer(says("Hello!")),)
    return call(given or request(), *scripts, type=type, hosts=HOSTS, **options)


def sent(type: str, given: ModelRequest | None = None, **options: Any) -> Any:
    """The body that arrives; it is also what is recorded, byte for byte."""
    outcome = ask(type, given, **options)
    assert outcome.answered().raw_request == outcome.body
    return orjson.loads(outcome.body)


def sent_content(type: str, *messages: Any, **options: Any) -> list[Any]:
    """The content of each message that arrives."""
    return [one["content"] for one in sent(type, request(*messages), **options)["messages"]]


def streamed(type: str, *events: bytes, **options: Any) -> list[Any]:
    """What becomes of a stream of these events, each written by itself."""
    given = options.pop("given", None) or request(stream=True)
    return ask(type, given, stream(*events), **options).items


def tool(name: str, *, strict: bool = False, key: str | None = None) -> FunctionTool:
    return FunctionTool(key or name, name, f"does {name}", JSONSchema({"type": "object"}), strict)
