"""``[functions.<f>.variants.*]``: every type, its keys, its rules."""

from __future__ import annotations

import pytest

from config.folder import DUMMY, OBJECT_SCHEMA, Folder, chat, json_function
from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.config.variant import BestOfNConfig, ChatCompletionConfig, DiclConfig

JSON = DUMMY + 'json_mode = "strict"\n'
FILES = {"t": "Hi", "s.json": OBJECT_SCHEMA}
BEST = 'type = "experimental_best_of_n_sampling"\n'
MIXTURE = 'type = "experimental_mixture_of_n"\n'
DICL = (
    'type = "experimental_dynamic_in_context_learning"\nmodel = "dummy::text"\nk = 3\n'
    'embedding_model = "openai::e"\n'
)
PART = '{ model = "dummy::text" }'
KEY = {"OPENAI_API_KEY": "k"}


def others(*names: str) -> str:
    return "".join(f"[functions.f.variants.{name}]\n{DUMMY}" for name in names)


@pytest.mark.parametrize(
    ("variant", "text"),
    [
        ("model = 'dummy::text'", "functions.f.variants.v: missing tag field `type`"),
        ("type = 'x'", "functions.f.variants.v: unknown variant `x`, expected one of `chat_"),
        ("type = 'dicl'", "unknown variant `dicl`"),
        ("type = 'chat_completion'", "functions.f.variants.v: missing field `model`"),
        (
            f"{DUMMY}enable_agi = true",
            "variants.v.enable_agi: unknown field `enable_agi`, expected",
        ),
        (f"{DUMMY}temperature = 'hot'", "v.temperature: invalid type: string, expected a number"),
        (f"{DUMMY}temperature = nan", "v.temperature: invalid value: floating point `nan`"),
        (f"{DUMMY}temperature = 1e300", "v.temperature: invalid value"),
        (f"{DUMMY}max_tokens = 100.0", "v.max_tokens: invalid type: floating point `100.0`"),
        (f"{DUMMY}max_tokens = -1", "v.max_tokens: invalid value: integer `-1`"),
        (f"{DUMMY}seed = 4294967296", "v.seed: invalid value: integer `4294967296`"),
        (f"{DUMMY}thinking_budget_tokens = 2147483648", "v.thinking_budget_tokens: invalid value"),
        (f"{DUMMY}stop_sequences = 'x'", "v.stop_sequences: invalid type: string"),
        (f"{DUMMY}service_tier = 'fast'", "v.service_tier: unknown variant `fast`"),
        (f"{DUMMY}retries = {{num_retries = -1}}", "v.retries.num_retries: invalid value"),
        (f"{DUMMY}retries = {{max_delay_s = -1}}", "v.retries.max_delay_s: must not be negative"),
        (f"{DUMMY}weight = -1", "`functions.f.variants.v`: `weight` must be non-negative"),
        (f"{DUMMY}namespace = ''", "v: Namespace identifier cannot be empty"),
        (f"{DUMMY}namespace = 'tensorzero::x'", "Namespace cannot start with `tensorzero::`"),
        (f"{DUMMY}timeouts = {{total_ms = 1}}", "v.timeouts.total_ms: unknown field `total_ms`"),
        (f"{DUMMY}timeout_s = 1", "v.timeout_s: unknown field `timeout_s`"),
        (f"{DUMMY}json_mode = 'on'", "JSON mode is not supported for variant `v`"),
        (f"{DUMMY}json_mode = 'maybe'", "v.json_mode: unknown variant `maybe`"),
        (f"{DUMMY}extra_body = {{}}", "v.extra_body: invalid type: map, expected a sequence"),
        (f"{DUMMY}extra_body = [1]", "v.extra_body[0]: invalid type: integer `1`"),
        (f"{DUMMY}extra_body = [{{value = 1}}]", "v.extra_body[0]: missing field `pointer`"),
        (f"{DUMMY}extra_body = [{{pointer = '/a', delete = false}}]", "`delete` must be `true`"),
        (f"{DUMMY}extra_body = [{{pointer = '/a'}}]", "either `value` or `delete = true`"),
        (f"{DUMMY}extra_body = [{{pointer='/a', value=1, delete=true}}]", "exclude each other"),
        (f"{DUMMY}extra_body = [{{pointer='/a', value=inf}}]", "cannot be written in JSON"),
        (f"{DUMMY}extra_headers = [{{name='a b', value='x'}}]", "not the name of an HTTP header"),
        (f"{DUMMY}extra_headers = [{{name='a', value=1}}]", "value: invalid type: integer `1`"),
        (f'{DUMMY}extra_headers = [{{name="a", value="x\\r\\ny"}}]', "no control characters"),
        ("type='chat_completion'\nmodel='x'", "Model name 'x' not found in model table"),
        ("type='chat_completion'\nmodel='azure::x'", "'azure::x' not found in model table"),
        ("type='chat_completion'\nmodel='Openai::x'", "'Openai::x' not found in model table"),
        ("type='chat_completion'\nmodel='dummy::nothing'", "Invalid dummy model `dummy::nothing`"),
        (
            "type='chat_completion'\nmodel='gcp_vertex_gemini::gemini-2.5-flash'",
            "v.model: GCP shorthand url is not in the expected format (should start with",
        ),
        (f"{DUMMY}candidates = ['v']", "unknown field `candidates`"),
        (f"{BEST}evaluator = {PART}", "functions.f.variants.v: missing field `candidates`"),
        (f"{BEST}candidates = []", "functions.f.variants.v: missing field `evaluator`"),
        (
            f"{MIXTURE}candidates = []\nfuser = {PART}\nevaluator = {PART}",
            "unknown field `evaluator`",
        ),
        (f"{BEST}candidates = ['nope']\nevaluator = {PART}", "Unknown candidate variant: nope"),
        (
            f"{BEST}candidates = []\nevaluator = {{model = 'dummy::text', type = 'x'}}",
            "v.evaluator.type: unknown field `type`",
        ),
        (
            f"{BEST}candidates = []\nevaluator = {{model = 'dummy::text', timeouts = {{}}}}",
            "v.evaluator.timeouts: unknown field `timeouts`",
        ),
        (f"{BEST}weight = -1\ncandidates = []\nevaluator = {PART}", "must be non-negative"),
        (
            f"{MIXTURE}candidates = []\nfuser = {PART}\nmodel = 'x'",
            "functions.f.variants.v.model: unknown field `model`",
        ),
        (f"{DICL}service_tier = 'auto'", "unknown field `service_tier`"),
        (f"{DICL}templates.a.path = 't'", "unknown field `templates`"),
        (f"{DICL}max_distance = -0.1", "`max_distance` must be non-negative"),
        (DICL.replace("k = 3", "k = -3"), "v.k: invalid value: integer `-3`"),
        (DICL.replace("k = 3\n", ""), "functions.f.variants.v: missing field `k`"),
        (
            DICL.replace("openai::e", "anthropic::e"),
            "`functions.f.variants.v`: `embedding_model` must be a valid embedding model name",
        ),
        (
            "type='experimental_chain_of_thought'\nmodel='dummy::text'",
            "Unsupported variant `v` of type `chain_of_thought` for function `f` of type `chat`",
        ),
    ],
)
def test_a_fault_in_a_variant(folder: Folder, variant: str, text: str) -> None:
    assert text in folder.error(chat(variant), FILES, environ=KEY)


def test_a_value_too_deep_for_json(folder: Folder) -> None:
    value = "[" * 300 + "]" * 300
    error = folder.error(chat(f"{DUMMY}extra_body = [{{pointer = '/a', value = {value}}}]"))
    assert "functions.f.variants.v.extra_body: the value is nested too deeply" in error


def test_a_chat_completion_whole(folder: Folder) -> None:
    config = folder.load(
        chat(
            f"{DUMMY}temperature = 1\ntop_p = 0.5\npresence_penalty = -1.5\n"
            "frequency_penalty = 0.25\nmax_tokens = 7\nseed = 4294967295\nstop_sequences = ['#']\n"
            "reasoning_effort = 'any text'\nverbosity = 'low'\nservice_tier = 'flex'\n"
            "thinking_budget_tokens = -1\nretries = {num_retries = 2}\nnamespace = 'n'\n"
            "timeouts = {non_streaming = {total_ms = 5}, streaming = {ttft_ms = 3, total_ms = 4}}\n"
            "extra_body = [{pointer = '/a', value = {b = [1, 2026-01-02]}},"
            " {pointer = '/c', delete = true, why = 1}]\n"
            "extra_headers = [{name = 'X', value = 'y'}, {name = 'Z', delete = true}]\n"
        )
        + others("w")
        + "[functions.f.experimentation]\ntype='static'\ncandidate_variants=['w']\n"
        "namespaces.n = {type='static', candidate_variants=['v']}",
    )
    variant = config.functions["f"].variants["v"]
    assert isinstance(variant, ChatCompletionConfig)
    assert variant.params.temperature == 1.0 and variant.params.seed == 4294967295
    assert (variant.retries.num_retries, variant.retries.max_delay_s) == (2, 10.0)
    assert variant.timeouts == TimeoutsConfig(5, 3, 4) and variant.namespace == "n"
    assert variant.extra_body[0].value == {"b": [1, "2026-01-02"]}
    assert variant.extra_body[1].delete and variant.extra_headers[1].delete
    assert any("unknown field `why`" in line for line in config.warnings)


@pytest.mark.parametrize("kind", ["on", "off", "strict", "tool", "implicit_tool"])
def test_json_functions_need_a_json_mode(folder: Folder, kind: str) -> None:
    error = folder.error(json_function(DUMMY))
    assert (
        "`json_mode` must be specified for `[functions.f.variants.v]` (parent function `f` is a "
        "JSON function)" in error
    )
    config = folder.load(json_function(f"{DUMMY}json_mode = '{kind}'"))
    variant = config.functions["f"].variants["v"]
    assert isinstance(variant, ChatCompletionConfig)
    assert variant.params.json_mode == ("tool" if kind == "implicit_tool" else kind)


def test_json_mode_of_judges_and_fusers(folder: Folder) -> None:
    assert not folder.errors(json_function(f"{BEST}candidates = []\nevaluator = {PART}"))
    error = folder.error(json_function(f"{MIXTURE}candidates = []\nfuser = {PART}"))
    assert "`json_mode` must be specified for `[functions.f.variants.v.fuser]`" in error
    tool = "{ model = 'dummy::text', json_mode = 'tool' }"
    assert not folder.errors(chat(f"{MIXTURE}candidates = []\nfuser = {tool}"))
    error = folder.error(
        chat(f"{MIXTURE}candidates = []\nfuser = {tool}", "tools = ['t']")
        + "[tools.t]\ndescription = 'd'\nparameters = 's.json'",
        FILES,
    )
    assert 'Cannot use `json_mode = "tool"` with chat functions that have tools' in error


def test_json_mode_of_dicl(folder: Folder) -> None:
    assert not folder.errors(chat(f"{DICL}json_mode = 'on'"), environ=KEY)
    error = folder.error(json_function(DICL), environ=KEY)
    assert "`json_mode` must be specified for `[functions.f.variants.v]`" in error


def test_dicl_whole(folder: Folder) -> None:
    config = folder.load(
        chat(f"{DICL}max_distance = 0\nsystem_instructions = 't'", "user_schema = 's.json'"),
        FILES,
        environ=KEY,
    )
    variant = config.functions["f"].variants["v"]
    assert isinstance(variant, DiclConfig)
    assert variant.system_instructions == "Hi" and variant.max_distance == 0.0 and variant.k == 3


def test_dicl_needs_its_embedding_models_key_at_start(folder: Folder) -> None:
    error = folder.error(chat(DICL))
    assert "functions.f.variants.v.embedding_model: API key missing for provider OpenAI" in error
    assert "`OPENAI_API_KEY`" in error


def test_chain_of_thought_is_deprecated(folder: Folder) -> None:
    config = folder.load(
        json_function("type='experimental_chain_of_thought'\nmodel='dummy::text'\njson_mode='on'")
    )
    assert any(
        line.startswith("Deprecation Warning: functions.f.variants.v") for line in config.warnings
    )
    assert ("f", "v") in config.unserved_variants


def test_candidates_may_repeat_and_nest_but_not_circle(folder: Folder) -> None:
    def best(name: str, *candidates: str) -> str:
        return f"[functions.f.variants.{name}]\n{BEST}candidates = {list(candidates)}\n" + (
            f"evaluator = {PART}\n"
        )

    start = "[functions.f]\ntype = 'chat'\n"
    config = folder.load(start + others("v") + best("a", "v", "v", "b") + best("b", "v"))
    variant = config.functions["f"].variants["a"]
    assert isinstance(variant, BestOfNConfig) and variant.candidates == ("v", "v", "b")
    error = folder.error(start + best("a", "b") + best("b", "a"))
    assert "the candidates form a cycle: a -> b -> a" in error
    assert "cycle: a -> a" in folder.error(start + best("a", "a"))


def test_timeout_s_gives_candidates_their_timeouts(folder: Folder) -> None:
    best = f"{BEST}candidates = ['w', 'w']\ntimeout_s = 0.4\nevaluator = {PART}"
    config = folder.load(chat(best) + others("w", "x"))
    variants = config.functions["f"].variants
    assert variants["w"].timeouts == TimeoutsConfig(400, 400, None)
    assert variants["v"].timeouts == variants["x"].timeouts == TimeoutsConfig()
    assert any("`timeout_s` is deprecated" in line for line in config.warnings)
    own = others("w") + "timeouts.non_streaming.total_ms = 5\n"
    assert "cannot use `timeout_s` when candidate `w`" in folder.error(chat(best) + own)
    second = "[functions.f.variants.u]\n" + best.replace("0.4", "0.5") + "\n"
    error = folder.error(chat(best) + others("w") + second)
    assert "cannot use `timeout_s` when candidate `w` has another one" in error
    errors = folder.errors(
        "[gateway]\nglobal_outbound_http_timeout_ms = 300\n" + chat(best) + others("w")
    )
    assert any("`timeouts.non_streaming.total_ms` value `400` is greater" in e for e in errors)


def test_timeouts_stay_within_the_global_limit(folder: Folder) -> None:
    limit = "[gateway]\nglobal_outbound_http_timeout_ms = 100\n"
    for key in ("non_streaming.total_ms", "streaming.ttft_ms", "streaming.total_ms"):
        error = folder.error(limit + chat(f"{DUMMY}timeouts.{key} = 101"))
        assert (
            f"functions.f.variants.v: The `timeouts.{key}` value `101` is greater than "
            "`gateway.global_outbound_http_timeout_ms`: `100`" in error
        )
        assert not folder.errors(limit + chat(f"{DUMMY}timeouts.{key} = 100"))
    config = folder.load(chat(f"{DUMMY}timeouts.streaming = {{ttft_ms = 5, total_ms = 4}}"))
    assert any("is less than `streaming.ttft_ms`" in line for line in config.warnings)


def test_types_that_are_not_served_load_with_one_warning(folder: Folder) -> None:
    config = folder.load(
        chat(f"{BEST}candidates = ['w']\nevaluator = {PART}")
        + others("w")
        + "[functions.f.variants.x]\ntype = 'chat_completion'\nmodel = 'anthropic::claude'\n"
    )
    assert dict(config.unserved_variants) == {
        ("f", "v"): "variants of type `experimental_best_of_n_sampling`"
    }
    place = "functions.f.variants.v: "
    assert len([line for line in config.warnings if line.startswith(place)]) == 1
