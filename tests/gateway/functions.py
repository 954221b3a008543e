"""The configuration that the tests of ``POST /inference`` run against."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "person.json": '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}',
    "tone.json": '{"type":"object","properties":{"tone":{"type":"string"}},"required":["tone"]}',
    "tool.json": '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}',
    "clock.json": '{"type":"object","properties":{},"additionalProperties":false}',
    "user.minijinja": "Name: {{ name }}",
    "system.minijinja": "Be {{ tone }}.",
    "greet.minijinja": "Greet {{ name }} in {{ language }}.",
    "legacy_user.minijinja": "<<{{ user_text }}>>",
    "legacy_system.minijinja": "[{{ system_text }}]",
    "constant.minijinja": "Always the same.",
    "missing.minijinja": "first line\n{{ given }}{{ nowhere }}",
}

FUNCTIONS = """
[functions.chat]
type = "chat"
[functions.chat.variants.v]
type = "chat_completion"
model = "scripted"
temperature = 0.1
max_tokens = 7
stop_sequences = ["END"]
[functions.chat.experimentation]
type = "static"
candidate_variants = ["v"]

[functions.two]
type = "chat"
[functions.two.variants.a]
type = "chat_completion"
model = "dummy::text"
[functions.two.variants.b]
type = "chat_completion"
model = "dummy::text"

[functions.shares]
type = "chat"
[functions.shares.experimentation]
type = "static"
candidate_variants = { a = 1.0, b = 1.0, c = 1.0 }
[functions.shares.experimentation.namespaces.tenant]
type = "static"
candidate_variants = ["d"]
[functions.shares.variants.a]
type = "chat_completion"
model = "dummy::text"
[functions.shares.variants.b]
type = "chat_completion"
model = "status-500"
[functions.shares.variants.c]
type = "chat_completion"
model = "dummy::text"
[functions.shares.variants.d]
type = "chat_completion"
model = "dummy::text"

[functions.ordered]
type = "chat"
[functions.ordered.experimentation]
type = "static"
candidate_variants = ["dead"]
fallback_variants = ["z", "a"]
[functions.ordered.variants.dead]
type = "chat_completion"
model = "status-500"
[functions.ordered.variants.z]
type = "chat_completion"
model = "scripted"
[functions.ordered.variants.a]
type = "chat_completion"
model = "scripted"

[functions.zero]
type = "chat"
[functions.zero.experimentation]
type = "static"
candidate_variants = { a = 0.0, b = 1.0 }
[functions.zero.variants.a]
type = "chat_completion"
model = "scripted"
[functions.zero.variants.b]
type = "chat_completion"
model = "status-500"

[functions.weights]
type = "chat"
[functions.weights.variants.a]
type = "chat_completion"
model = "scripted"
weight = 0
[functions.weights.variants.b]
type = "chat_completion"
model = "status-500"
weight = 1

[functions.allbad]
type = "chat"
[functions.allbad.variants.one]
type = "chat_completion"
model = "status-500"
[functions.allbad.variants.two]
type = "chat_completion"
model = "garbage"

[functions.routed]
type = "chat"
[functions.routed.variants.v]
type = "chat_completion"
model = "routed"

[functions.late]
type = "chat"
[functions.late.variants.variant]
type = "chat_completion"
model = "slow"
timeouts = { non_streaming = { total_ms = 200 }, streaming = { ttft_ms = 100 } }
[functions.late.variants.provider]
type = "chat_completion"
model = "late_provider"
[functions.late.variants.model]
type = "chat_completion"
model = "late_model"
[functions.late.variants.stream]
type = "chat_completion"
model = "slow"
timeouts = { streaming = { total_ms = 500 } }

[functions.typed]
type = "chat"
system_schema = "tone.json"
user_schema = "person.json"
assistant_schema = "person.json"
[functions.typed.variants.v]
type = "chat_completion"
model = "scripted"
system_template = "system.minijinja"
user_template = "user.minijinja"
assistant_template = "user.minijinja"

[functions.named]
type = "chat"
[functions.named.schemas.greet]
path = "person.json"
[functions.named.variants.v]
type = "chat_completion"
model = "scripted"
[functions.named.variants.v.templates.greet]
path = "greet.minijinja"
[functions.named.variants.v.templates.system]
path = "system.minijinja"
[functions.named.variants.v.templates.user]
path = "constant.minijinja"

[functions.mixed]
type = "chat"
[functions.mixed.experimentation]
type = "static"
candidate_variants = ["without"]
fallback_variants = ["with"]
[functions.mixed.variants.with]
type = "chat_completion"
model = "scripted"
[functions.mixed.variants.with.templates.card]
path = "user.minijinja"
[functions.mixed.variants.without]
type = "chat_completion"
model = "scripted"

[functions.legacy]
type = "chat"
[functions.legacy.variants.v]
type = "chat_completion"
model = "scripted"
system_template = "legacy_system.minijinja"
user_template = "legacy_user.minijinja"

[functions.fixed]
type = "chat"
[functions.fixed.variants.v]
type = "chat_completion"
model = "scripted"
[functions.fixed.variants.v.templates.system]
path = "constant.minijinja"

[functions.undefined]
type = "chat"
[functions.undefined.variants.v]
type = "chat_completion"
model = "scripted"
[functions.undefined.variants.v.templates.user]
path = "missing.minijinja"

[tools.weather]
description = "Weather"
parameters = "tool.json"
[tools.clock]
name = "time_of_day"
description = "Time"
parameters = "clock.json"
strict = true

[functions.tools]
type = "chat"
tools = ["weather"]
tool_choice = "required"
parallel_tool_calls = true
[functions.tools.variants.v]
type = "chat_completion"
model = "scripted"

[functions.extract]
type = "json"
output_schema = "person.json"
[functions.extract.variants.v]
type = "chat_completion"
model = "scripted"
json_mode = "strict"
[functions.extract.variants.tool]
type = "chat_completion"
model = "scripted"
json_mode = "tool"
[functions.extract.variants.on]
type = "chat_completion"
model = "scripted"
json_mode = "on"
[functions.extract.variants.thinking]
type = "chat_completion"
model = "dummy::thought"
json_mode = "off"

[functions.edited]
type = "chat"
[functions.edited.experimentation]
type = "static"
candidate_variants = ["a"]
fallback_variants = ["b"]
[functions.edited.variants.a]
type = "chat_completion"
model = "status-500"
[functions.edited.variants.b]
type = "chat_completion"
model = "edited"
extra_body = [{ pointer = "/order", value = "variant" }, { pointer = "/variant", value = 1 }]
extra_headers = [{ name = "x-order", value = "variant" }]

[functions.keyed]
type = "chat"
[functions.keyed.variants.v]
type = "chat_completion"
model = "keyed"

[functions.tenants]
type = "chat"
[functions.tenants.experimentation]
type = "static"
candidate_variants = ["open"]
[functions.tenants.experimentation.namespaces.tenant]
type = "static"
candidate_variants = ["own"]
fallback_variants = ["private"]
[functions.tenants.variants.open]
type = "chat_completion"
model = "scripted"
[functions.tenants.variants.private]
type = "chat_completion"
model = "scripted"
namespace = "tenant"
[functions.tenants.variants.own]
type = "chat_completion"
model = "tenant_model"

[metrics.solved]
type = "boolean"
optimize = "max"
level = "inference"
[metrics.rating]
type = "float"
optimize = "max"
level = "inference"
[metrics.won]
type = "boolean"
optimize = "max"
level = "episode"
[metrics.cost]
type = "float"
optimize = "min"
level = "episode"

[evaluations.quality]
type = "inference"
function_name = "two"
[evaluations.quality.evaluators.same]
type = "exact_match"
"""

SIMPLE = (
    "ok",
    "scripted",
    "second",
    "status-500",
    "status-429",
    "status-401",
    "garbage",
    "cut",
    "slow",
    "cut-stream",
    "echo-key",
)


def _provider(model: str, name: str, api_base: str, served: str, rest: str = "") -> str:
    return (
        f'[models.{model}.providers.{name}]\ntype = "openai"\nmodel_name = "{served}"\n'
        f'api_base = "{api_base}"\napi_key_location = "none"\n{rest}\n'
    )


def config_text(api_base: str, extra: str = "") -> str:
    """One model for each behaviour of the provider, and those that need settings."""
    parts = [extra, FUNCTIONS]
    for name in SIMPLE:
        parts.append(f'[models.{name}]\nrouting = ["p"]\n' + _provider(name, "p", api_base, name))
    dead = "http://127.0.0.1:9/v1"
    parts.append(
        '[models.dead]\nrouting = ["p"]\n'
        + _provider("dead", "p", dead, "dead")
        + '[models.routed]\nrouting = ["first", "second"]\n'
        + _provider("routed", "first", api_base, "status-500")
        + _provider("routed", "second", api_base, "scripted")
        + '[models.late_provider]\nrouting = ["p"]\n'
        + _provider(
            "late_provider",
            "p",
            api_base,
            "slow",
            "timeouts = { non_streaming = { total_ms = 200 }, streaming = { ttft_ms = 100 } }",
        )
        + '[models.late_model]\nrouting = ["p"]\n'
        + "timeouts = { non_streaming = { total_ms = 200 }, streaming = { ttft_ms = 100 } }\n"
        + _provider("late_model", "p", api_base, "slow")
        + '[models.edited]\nrouting = ["p"]\n'
        + _provider(
            "edited",
            "p",
            api_base,
            "scripted",
            'extra_body = [{ pointer = "/order", value = "provider" }]\n'
            'extra_headers = [{ name = "x-order", value = "provider" }]',
        )
        + '[models.priced]\nrouting = ["p"]\n'
        + _provider(
            "priced",
            "p",
            api_base,
            "scripted",
            'cost = [{ pointer = "/usage/prompt_tokens", cost_per_million = 2.0, required = true },'
            ' { pointer = "/usage/completion_tokens", cost_per_million = 4.0, required = true }]',
        )
        + '[models.keyed]\nrouting = ["p"]\n'
        + _provider("keyed", "p", api_base, "scripted").replace('"none"', '"dynamic::customer"')
        + '[models.tenant_model]\nrouting = ["p"]\nnamespace = "tenant"\n'
        + _provider("tenant_model", "p", api_base, "scripted")
    )
    return "\n".join(parts)


def write(folder: Path, api_base: str, extra: str = "") -> Path:
    """The configuration and its files; ``extra`` is TOML in front, such as ``[gateway]``."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    path = folder / "tensorzero.toml"
    path.write_text(config_text(api_base, extra))
    return path
