"""Calls of both Gemini types against the scripted server.

Answers and events are the vendor's documented ones
(https://ai.google.dev/api/generate-content, https://cloud.google.com/vertex-ai/docs/reference).
"""

from __future__ import annotations

from typing import Any

import orjson

from providers.calls import Outcome, call, request
from tensorzero.config.credentials import DynamicCredential, StaticCredential
from tensorzero.types.content import Message
from tensorzero.types.model import ModelRequest
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import FunctionTool
from upstream.scripted import Script, answer

STUDIO = "google_ai_studio_gemini"
VERTEX = "gcp_vertex_gemini"
BOTH = (STUDIO, VERTEX)
NAMES = {STUDIO: "Google AI Studio Gemini", VERTEX: "GCP Vertex Gemini"}
HOSTS = ("generativelanguage.googleapis.com", "aiplatform.googleapis.com")
VERTEX_OPTIONS = {"project_id": "proj", "location": "us-central1", "model_id": "gemini-x"}
KEY = "not-a-key-of-anybody"

USAGE = {
    "promptTokenCount": 4,
    "candidatesTokenCount": 9,
    "totalTokenCount": 33,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
    "thoughtsTokenCount": 20,
}


def says(*parts: Any, finish: str | None = "STOP", usage: Any = USAGE) -> dict[str, Any]:
    """A response object: one candidate with these parts (texts by themselves)."""
    content = {"parts": [{"text": p} if isinstance(p, str) else p for p in parts], "role": "model"}
    candidate: dict[str, Any] = {"content": content, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    whole: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-x"}
    if usage is not None:
        whole["usageMetadata"] = usage
    return {**whole, "responseId": "r-1"}


def ask(type: str, given: ModelRequest | None = None, *scripts: Script, **options: Any) -> Outcome:
    """One call; without a script the server says hello."""
    if type == VERTEX:
        options.setdefault("credential", DynamicCredential("token"))
        options.setdefault("credentials", {"token": KEY})
        options.setdefault("options", VERTEX_OPTIONS)
    else:
        options.setdefault("credential", StaticCredential(KEY))
    options.setdefault("model", "gemini-x")
    scripts = scripts or (answer(says("Hello!")),)
    return call(given or request(), *scripts, type=type, hosts=HOSTS, **options)


def sent(type: str, given: ModelRequest, **options: Any) -> Any:
    """The body that arrives; it is also what is recorded, byte for byte."""
    outcome = ask(type, given, **options)
    assert outcome.answered().raw_request == outcome.body
    return orjson.loads(outcome.body)


def sent_parts(*messages: Message, type: str = STUDIO, **options: Any) -> list[Any]:
    """The parts of each content."""
    return [one["parts"] for one in sent(type, request(*messages), **options)["contents"]]


def tool(name: str, schema: Any = None, key: str | None = None) -> FunctionTool:
    return FunctionTool(key or name, name, f"does {name}", JSONSchema(schema or {"type": "object"}))
