"""Whatever a configuration holds, loading it ends with a config or with ``ConfigErrors``."""

from __future__ import annotations

import contextlib
import copy
import shutil
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.test_examples import BIG, EXAMPLES
from tensorzero.config.config import Config
from tensorzero.config.dynamic import load_dynamic_variant
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load
from tensorzero.config.read_variants import VARIANT_TYPES
from tensorzero.config.snapshot import to_toml
from tensorzero.types.errors import ConfigError, DynamicTemplateLoad

EXTRA = """
[evaluations.old]
type = "inference"
function_name = "reply"
[evaluations.old.evaluators.same]
type = "exact_match"
[evaluations.old.evaluators.tools]
type = "tool_use"
behavior = "any_of"
tools = ["a"]
[optimizers.o]
type = "gepa"
function_name = "reply"
analysis_model = "big"
mutation_model = "big"
evaluator_names = ["polite"]
[functions.weighted]
type = "chat"
[functions.weighted.variants.mix]
type = "experimental_mixture_of_n"
candidates = ["a", "a"]
timeout_s = 1.5
fuser = { model = "big", system_template = "support/prompts/ticket2.minijinja" }
[functions.weighted.variants.a]
type = "chat_completion"
model = "gcp_vertex_gemini::projects/p/locations/l/publishers/google/models/m"
weight = 0.5
namespace = "n"
input_wrappers.user = "support/prompts/user.minijinja"
[rate_limiting]
enabled = false
rules = [{ cost_per_day = { capacity = 1.5, refill_rate = 1 }, always = true, scope = [{ tag_key = "u", tag_value = "tensorzero::each" }] }]
"""

TOML_VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        st.sampled_from(
            [
                *("", "chat", "json", "openai", "aws_bedrock", "azure", "gcp_vertex_gemini"),
                *("env::NOPE", "env::OPENAI_API_KEY", "path::/nope", "dynamic::k", "sdk", "none"),
                *("openai::x", "dummy::x", "tensorzero::x", "fast", "a", "/", ".", "\x00", "(?="),
                *("experimental_best_of_n_sampling", "experimental_mixture_of_n", "adaptive"),
                *("experimental_dynamic_in_context_learning", "llm_judge", "regex", "responses"),
                *("support/prompts/ticket.minijinja", "support/schemas/ticket.json", "http://[::1"),
                *("env::EMPTY", "filesystem", "s3_compatible", "static", "track_and_stop"),
                -1,
                0,
                10**400,
                1e300,
            ]
        ),
        st.dates(),
        st.datetimes(),
        st.times(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["a", "type", "path", "default", "fallback", "v", "model", "é", ""]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)


def paths_of(table: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in items:
        yield (*prefix, key)
        if isinstance(value, (dict, list)):
            yield from paths_of(value, (*prefix, key))


def whole_config() -> dict[str, Any]:
    """The examples in one table."""
    functions = tomli.loads((EXAMPLES / "tensorzero.toml").read_text())
    support = (EXAMPLES / "support" / "support.toml").read_text()
    for folder in ("schemas/", "prompts/", "judges/"):
        support = support.replace(f'"{folder}', f'"support/{folder}')
    models = tomli.loads((EXAMPLES / "models" / "models.toml").read_text())
    del models["gateway"], functions["rate_limiting"], functions["gateway"]["auth"]
    functions["object_storage"] = {"type": "disabled"}
    table = {**tomli.loads(EXTRA), **functions, **models}
    more = tomli.loads(support)["functions"]
    table["functions"] = {**tomli.loads(EXTRA)["functions"], **more}
    table["models"] = {**models["models"], **tomli.loads(BIG)["models"]}
    table["models"]["tenant-a"]["providers"]["gemini"]["credential_location"] = "sdk"
    return table


ENVIRON = {
    "OPENAI_API_KEY": "k",
    "AZURE_EU_ENDPOINT": "https://h",
    "AZURE_EU_KEY": "k",
    "TOGETHER_API_KEY": "k",
    "AWS_REGION": "r",
    "EMPTY": "",
}
WHOLE = whole_config()
PATHS = sorted(paths_of(WHOLE), key=str)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutations")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    (folder / "support/prompts/user.minijinja").write_text("{{ user_text }}")
    (folder / "support/prompts/ticket2.minijinja").write_text("{{ system_text }}")
    return folder


def load_table(place: Path, table: dict[str, Any]) -> Config:
    file = place / "mutated.toml"
    file.write_bytes(to_toml(table).encode())
    return load(str(file), environ=ENVIRON)


def test_the_unchanged_configuration_loads(place: Path) -> None:
    table = copy.deepcopy(WHOLE)
    table["functions"]["weighted"]["variants"]["a"].pop("namespace")
    assert len(load_table(place, table).functions) == 4


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A few keys deleted, replaced, added."""
    table = copy.deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS))
        path = path[: draw(st.integers(1, len(path)))]
        node: Any = table
        try:
            for key in path[:-1]:
                node = node[key]
            action = draw(st.sampled_from(["delete", "replace", "add"]))
            if action == "add" and isinstance(node, dict):
                name = draw(st.sampled_from(["unknown", "weight", "timeouts", "json_mode", "x::y"]))
                node[name] = draw(TOML_VALUES)
            elif action == "replace":
                node[path[-1]] = draw(TOML_VALUES)
            else:
                del node[path[-1]]
        except (LookupError, TypeError):
            continue  # an earlier mutation took it away
    return table


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=mutated())
def test_mutations_never_raise_anything_else(place: Path, table: dict[str, Any]) -> None:
    try:
        config = load_table(place, table)
    except ConfigErrors as error:
        assert error.errors
        assert all(line and "\n" not in line for line in error.errors)
    else:
        assert config.snapshot.hash.isdigit()
        assert tomli.loads(config.snapshot.toml) is not None


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", "t", "{{ x", "dummy::text", "/a", "on", "openai::e"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["__tensorzero_remapped_path", "__data", "path", "system", "pointer"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
DYNAMIC_KEYS = (
    *("model", "templates", "system_template", "input_wrappers", "temperature", "json_mode"),
    *("extra_body", "extra_headers", "retries", "timeouts", "candidates", "evaluator", "fuser"),
    *("embedding_model", "k", "system_instructions", "weight", "namespace", "unknown"),
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Config:
    file = tmp_path_factory.mktemp("dynamic") / "a.toml"
    file.write_text("[functions.f]\ntype = 'chat'\nvariants = {}\n")
    return load(str(file), environ={})


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(VARIANT_TYPES), st.dictionaries(st.sampled_from(DYNAMIC_KEYS), JSON_VALUES))
def test_any_dynamic_variant_is_a_variant_or_an_error(
    bare: Config, kind: str, table: dict[str, Any]
) -> None:
    with contextlib.suppress(ConfigError, DynamicTemplateLoad):
        variant, _ = load_dynamic_variant(bare, bare.functions["f"], {"type": kind, **table})
        assert variant.name == "tensorzero::dynamic_variant"


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), TOML_VALUES, max_size=4
    )
)
def test_what_is_written_as_toml_reads_back(table: dict[str, Any]) -> None:
    assert plain(tomli.loads(to_toml(table))) == plain(table)


def plain(value: Any) -> Any:
    """Comparable: NaN equals itself, integers and floats differ."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, (datetime, date, time)):
        return str(value)
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="ignore")))
def test_any_bytes_are_a_config_or_an_error(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "a.toml"
        file.write_bytes(data)
        try:
            load(str(file), environ={})
        except ConfigErrors as error:
            assert error.errors
