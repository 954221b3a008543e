"""A gateway whose providers are one scripted server: each model's answer is a test's own bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from gateway.running import Gateway
from providers.gcp_account import key_file
from providers.gemini import HOSTS
from upstream.scripted import Script, ScriptedServer, Seen, answer

ENV_KEY = "sk-env-0123456789abcdef"
COMPLETION = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7},
}

CONFIG = """
[gateway]
unstable_error_json = true
global_outbound_http_timeout_ms = 2000

[models.pair]
routing = ["first", "second"]
[models.pair.providers.first]
type = "openai"
model_name = "first"
api_base = "URL"
api_key_location = "none"
[models.pair.providers.second]
type = "openai"
model_name = "second"
api_base = "URL/"
api_key_location = "none"

[models.secret]
routing = ["p"]
[models.secret.providers.p]
type = "openai"
model_name = "m"
api_base = "URL"
api_key_location = "env::UPSTREAM_TEST_KEY"

[models.fallback_key]
routing = ["p"]
[models.fallback_key.providers.p]
type = "openai"
model_name = "m"
api_base = "URL"
api_key_location = { default = "dynamic::k", fallback = "env::UPSTREAM_TEST_KEY" }

[models.responses]
routing = ["p"]
[models.responses.providers.p]
type = "openai"
model_name = "m"
api_type = "responses"
api_base = "URL"
api_key_location = "none"

[models.priced]
routing = ["p"]
[models.priced.providers.p]
type = "openai"
model_name = "m"
api_base = "URL"
api_key_location = "none"
cost = [
  { pointer = "/usage/prompt_tokens", cost_per_million = 1.5, required = true },
  { pointer = "/usage/completion_tokens", cost_per_million = 2.0, required = true },
]

[models.together]
routing = ["together"]
[models.together.providers.together]
type = "together"
model_name = "together-x"
api_key_location = "env::UPSTREAM_TEST_KEY"
[models.router]
routing = ["router", "second"]
[models.router.providers.router]
type = "openrouter"
model_name = "router-x"
api_key_location = "env::UPSTREAM_TEST_KEY"
[models.router.providers.second]
type = "tgi"
api_base = "URL"
api_key_location = "none"

[models.gemini]
routing = ["studio", "second"]
[models.gemini.providers.studio]
type = "google_ai_studio_gemini"
model_name = "gemini-x"
api_key_location = "env::UPSTREAM_TEST_KEY"
cost = [
  { pointer = "/usageMetadata/promptTokenCount", cost_per_million = 1.0, required = true },
  { pointer = "/usageMetadata/candidatesTokenCount", cost_per_million = 2.0 },
]
[models.gemini.providers.second]
type = "openai"
model_name = "second"
api_base = "URL"
api_key_location = "none"

[models.vertex]
routing = ["p"]
[models.vertex.providers.p]
type = "gcp_vertex_gemini"
model_id = "gemini-x"
location = "us-central1"
project_id = "proj"
credential_location = { default = "dynamic::gcp", fallback = "path::FOLDER/gcp.json" }
discard_unknown_chunks = true

[models.slow_providers]
routing = ["first", "second"]
[models.slow_providers.providers.first]
type = "openai"
model_name = "first"
api_base = "URL"
api_key_location = "none"
timeouts = { non_streaming.total_ms = 300, streaming = { ttft_ms = 300 } }
[models.slow_providers.providers.second]
type = "openai"
model_name = "second"
api_base = "URL"
api_key_location = "none"
timeouts = { non_streaming.total_ms = 1000, streaming = { ttft_ms = 1000, total_ms = 1500 } }

[models.slow_model]
routing = ["p"]
timeouts = { non_streaming.total_ms = 900, streaming = { ttft_ms = 900, total_ms = 1100 } }
[models.slow_model.providers.p]
type = "openai"
model_name = "m"
api_base = "URL"
api_key_location = "none"

[models.claude]
routing = ["bedrock", "second"]
[models.claude.providers.bedrock]
type = "aws_bedrock"
model_id = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
region = "eu-west-3"
endpoint_url = "URL/"
access_key_id = "env::UPSTREAM_TEST_KEY"
secret_access_key = "env::UPSTREAM_TEST_KEY"
cost = [
  { pointer = "/usage/inputTokens", cost_per_million = 1.0, required = true },
  { pointer = "/usage/outputTokens", cost_per_million = 2.0, required = true },
]
[models.claude.providers.second]
type = "openai"
model_name = "second"
api_base = "URL"
api_key_location = "none"

[models.sonnet]
routing = ["anthropic", "second"]
[models.sonnet.providers.anthropic]
type = "anthropic"
model_name = "claude-sonnet-4-5"
api_base = "URL/messages"
api_key_location = { default = "dynamic::anthropic", fallback = "env::UPSTREAM_TEST_KEY" }
extra_headers = [{ name = "anthropic-beta", value = "context-1m-2025-08-07" }]
cost = [
  { pointer_nonstreaming = "/usage/input_tokens", pointer_streaming = "/message/usage/input_tokens", cost_per_million = 1.0, required = true },
  { pointer = "/usage/output_tokens", cost_per_million = 2.0, required = true },
]
[models.sonnet.providers.second]
type = "openai"
model_name = "second"
api_base = "URL"
api_key_location = "none"

[models.unlimited]
routing = ["p"]
[models.unlimited.providers.p]
type = "anthropic"
model_name = "claude-of-the-future"
api_base = "URL"
api_key_location = "none"

[functions.begun]
type = "json"
[functions.begun.variants.sonnet]
type = "chat_completion"
model = "sonnet"
json_mode = "on"

[functions.pinned]
type = "chat"
[functions.pinned.variants.pair]
type = "chat_completion"
model = "pair"
[functions.pinned.variants.m]
type = "chat_completion"
model = "m"
[functions.pinned.variants.shorthand]
type = "chat_completion"
model = "openai::gpt-5-mini"
retries = { num_retries = 5 }
[functions.pinned.variants.responses]
type = "chat_completion"
model = "responses"
[functions.pinned.variants.slow_providers]
type = "chat_completion"
model = "slow_providers"
[functions.pinned.variants.slow_model]
type = "chat_completion"
model = "slow_model"
[functions.pinned.variants.slow_variant]
type = "chat_completion"
model = "m"
timeouts = { non_streaming.total_ms = 1200, streaming = { ttft_ms = 900, total_ms = 1100 } }
[functions.pinned.variants.slow_total]
type = "chat_completion"
model = "m"
timeouts = { streaming = { total_ms = 900 } }
[functions.pinned.variants.retrying]
type = "chat_completion"
model = "m"
retries = { num_retries = 2, max_delay_s = 0.1 }
[functions.pinned.variants.retrying_slow_model]
type = "chat_completion"
model = "slow_model"
retries = { num_retries = 1, max_delay_s = 0.1 }
[functions.pinned.variants.retrying_too_long]
type = "chat_completion"
model = "m"
retries = { num_retries = 5 }
timeouts = { non_streaming.total_ms = 800 }
[functions.pinned.variants.unrenderable]
type = "chat_completion"
model = "m"
retries = { num_retries = 3 }
templates.system.path = "undefined.minijinja"

[functions.pair]
type = "chat"
[functions.pair.variants.v]
type = "chat_completion"
model = "pair"

[functions.priced]
type = "chat"
[functions.priced.variants.v]
type = "chat_completion"
model = "priced"
retries = { num_retries = 1, max_delay_s = 0.1 }

[functions.several]
type = "chat"
[functions.several.variants.a]
type = "chat_completion"
model = "priced"
[functions.several.variants.b]
type = "chat_completion"
model = "pair"

[functions.late]
type = "chat"
[functions.late.experimentation]
type = "static"
candidate_variants = ["slow"]
fallback_variants = ["good"]
[functions.late.variants.slow]
type = "chat_completion"
model = "m"
timeouts = { non_streaming.total_ms = 300, streaming = { ttft_ms = 300 } }
[functions.late.variants.good]
type = "chat_completion"
model = "dummy::text?text=good"

[models.m]
routing = ["p"]
[models.m.providers.p]
type = "openai"
model_name = "m"
api_base = "URL"
api_key_location = "none"
"""

Answer = Script | Callable[[Seen], Script]


class Upstream(ScriptedServer):
    """Answers by the model's name, if the body has one; ``answers`` is set by each test. Runs in a thread."""

    def __init__(self) -> None:
        super().__init__(self._script)
        self.answers: dict[str, Answer] = {}
        self.in_thread()

    def _script(self, seen: Seen) -> Script:
        model = orjson.loads(seen.body).get("model", "") if seen.body else ""
        found = self.answers.get(model, answer(COMPLETION))
        return found(seen) if callable(found) else found

    def say(self, *scripts: Script, model: str = "m") -> None:
        """One script a request, the last one again and again."""
        left = list(scripts)
        self.answers[model] = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def bodies(self) -> list[Any]:
        return [orjson.loads(seen.body) for seen in self.seen]


def start(folder: Path, upstream: Upstream) -> Gateway:
    """With a key of ours in its environment, and without one of OpenAI's."""
    (folder / "undefined.minijinja").write_text("{{ nowhere }}")
    config = folder / "tensorzero.toml"
    (folder / "gcp.json").write_text(key_file())
    config.write_text(CONFIG.replace("URL", upstream.url).replace("FOLDER", str(folder)))
    origin = upstream.url.removesuffix("/v1")
    vendors = (*HOSTS, "api.together.xyz", "openrouter.ai")
    hosts = ",".join(f"{host}={origin}" for host in vendors)
    openai_key = os.environ.pop("OPENAI_API_KEY", None)
    os.environ["UPSTREAM_TEST_KEY"] = ENV_KEY
    try:
        return Gateway(config, folder / "data", environment={"TENSORZERO_UPSTREAM_HOSTS": hosts})
    finally:
        del os.environ["UPSTREAM_TEST_KEY"]
        if openai_key is not None:
            os.environ["OPENAI_API_KEY"] = openai_key
