"""Evaluators: what they are checked for, and the metrics and judge functions they add."""

from __future__ import annotations

import pytest

from config.folder import DUMMY, Folder, chat
from tensorzero.config.evaluation import LLMJudgeConfig, RegexConfig, ToolUseConfig
from tensorzero.config.timeouts import TimeoutsConfig
from tensorzero.config.variant import (
    BestOfNConfig,
    ChatCompletionConfig,
    DiclConfig,
    MixtureOfNConfig,
)

E = "[functions.f.evaluators.e]\n"
JUDGE = "type = 'llm_judge'\noutput_type = 'float'\noptimize = 'min'\n"
VARIANT = (
    "type = 'chat_completion'\nmodel = 'dummy::text'\njson_mode = 'on'\nsystem_instructions = 'i'\n"
)
FILES = {"i": "Judge it.", "x.ts": "code"}


def judge(variants: str, keys: str = "") -> str:
    return chat() + E + JUDGE + keys + variants


def judge_variant(name: str = "a", keys: str = "", variant: str = VARIANT) -> str:
    return f"\n[functions.f.evaluators.e.variants.{name}]\n{variant}{keys}"


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("", "functions.f.evaluators.e: missing tag field `type`"),
        ("type = 'x'", "functions.f.evaluators.e: unknown variant `x`, expected one of `exact_"),
        ("type = 'exact_match'\ndescription = 'd'", "unknown field `description`"),
        ("type = 'exact_match'\ncutoff = 'x'", "e.cutoff: invalid type"),
        ("type = 'regex'", "at least one of `must_match`, `must_not_match` is needed"),
        ("type = 'regex'\nmust_match = '('", "e.must_match: `(` is not a regular expression"),
        ("type = 'regex'\nmust_match = '(?=a)'", "e.must_match: `(?=a)` is not a regular"),
        (r"type = 'regex'" + "\nmust_not_match = '(a)\\1'", "e.must_not_match: "),
        ("type = 'tool_use'", "functions.f.evaluators.e: missing field `behavior`"),
        ("type = 'tool_use'\nbehavior = 'some'", "e.behavior: unknown variant `some`"),
        ("type = 'tool_use'\nbehavior = 'any_of'", "missing field `tools`"),
        ("type = 'tool_use'\nbehavior = 'all_of'\ntools = []", "`tools` must not be empty"),
        ("type = 'tool_use'\nbehavior = 'none'\ntools = ['a']", "unknown field `tools`"),
        (
            "type = 'typescript'\noutput_type = 'float'\noptimize = 'max'",
            "functions.f.evaluators.e: missing field `typescript_file`",
        ),
        (
            "type = 'typescript'\ntypescript_file = 'x.ts'\noptimize = 'max'",
            "functions.f.evaluators.e: missing field `output_type`",
        ),
        (JUDGE, "functions.f.evaluators.e: missing field `variants`"),
        (JUDGE + "variants = {}", "must have exactly 1 variant that is active. Found 0 variants"),
        (JUDGE + "include = {input = true}\nvariants = {}", "e.include.input: unknown field"),
    ],
)
def test_a_fault_in_an_evaluator(folder: Folder, toml: str, text: str) -> None:
    errors = folder.errors(chat() + E + toml, FILES)
    assert any(text in line for line in errors), errors


def test_evaluators_whole(folder: Folder) -> None:
    config = folder.load(
        chat()
        + E
        + "type = 'regex'\nmust_not_match = '(?i)password\\s*[:=]'\n"
        + "[functions.f.evaluators.t]\ntype = 'tool_use'\nbehavior = 'all_of'\ntools = ['a', 'a']\n"
        + "[functions.f.evaluators.x]\ntype = 'exact_match'\ncutoff = 0.5\n"
        + "[functions.f.evaluators.ts]\ntype = 'typescript'\ntypescript_file = 'x.ts'\n"
        + "output_type = 'float'\noptimize = 'min'\n",
        FILES,
    )
    evaluators = config.evaluators["f"]
    regex, tools = evaluators["e"].options, evaluators["t"].options
    assert isinstance(regex, RegexConfig) and regex.must_not_match is not None
    assert regex.must_not_match.search("my PassWord : x")
    assert not regex.must_not_match.search("passwords")
    assert tools == ToolUseConfig("all_of", ("a", "a"))
    metric = config.metrics["tensorzero::function_name::f::evaluator_name::ts"]
    assert (metric.type, metric.optimize, metric.level) == ("float", "min", "inference")
    metric = config.metrics[evaluators["x"].metric_name]
    assert (metric.type, metric.optimize) == ("boolean", "max")
    assert any("never run" in line for line in config.warnings)
    assert any("`cutoff` of evaluators is deprecated" in line for line in config.warnings)


def test_evaluator_names(folder: Folder) -> None:
    error = folder.error(chat() + "[functions.f.evaluators.'a::b']\ntype = 'exact_match'")
    assert 'Evaluator names cannot contain "::"' in error


@pytest.mark.parametrize(
    ("variants", "found"),
    [
        (judge_variant("a") + judge_variant("b"), 0),
        (judge_variant("a", "active = true") + judge_variant("b", "active = true"), 2),
        (judge_variant("a", "active = false"), 0),
    ],
)
def test_exactly_one_variant_judges(folder: Folder, variants: str, found: int) -> None:
    error = folder.error(judge(variants), FILES)
    assert (
        "Evaluator `e` in `[functions.f.evaluators]` must have exactly 1 variant that is active. "
        f"Found {found} variants with nonzero weights." in error
    )


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("weight = 1", "unknown field `weight`"),
        ("namespace = 'n'", "unknown field `namespace`"),
        ("templates.a.path = 'i'", "unknown field `templates`"),
        ("user_template = 'i'", "unknown field `user_template`"),
        ("temperature = 'x'", "e.variants.a.temperature: invalid type"),
        ("active = 1", "e.variants.a.active: invalid type"),
    ],
)
def test_keys_of_judge_variants(folder: Folder, keys: str, text: str) -> None:
    errors = folder.errors(judge(judge_variant(keys=keys)), FILES)
    assert any(text in line for line in errors), errors


@pytest.mark.parametrize("key", ["json_mode", "model", "system_instructions"])
def test_required_keys_of_judge_variants(folder: Folder, key: str) -> None:
    variant = "\n".join(line for line in VARIANT.splitlines() if not line.startswith(key))
    error = folder.error(judge(judge_variant(variant=variant)), FILES)
    assert f"functions.f.evaluators.e.variants.a: missing field `{key}`" in error


def test_the_judge_function(folder: Folder) -> None:
    config = folder.load(
        judge(
            judge_variant("a", "active = true\nretries = {num_retries = 1}\ntimeouts = {}")
            + judge_variant("b"),
            "description = 'd'\ninclude = {reference_output = true}\n",
        ),
        {"i": "Judge {{ system_text }}it.\n"},
    )
    name = "tensorzero::llm_judge::function_name::f::e"
    function = config.functions[name]
    options = config.evaluators["f"]["e"].options
    assert options == LLMJudgeConfig(name, "serialized", True, "d")
    assert function.type == "json" and set(function.variants) == {"a", "b"}
    assert function.output_schema.is_valid({"score": 0.5})
    assert not function.output_schema.is_valid({"score": True})
    assert not function.output_schema.is_valid({"score": 1, "why": "x"})
    assert function.schemas["user"].is_valid(
        {"input": "i", "generated_output": "o", "reference_output": None}
    )
    assert not function.schemas["user"].is_valid({"input": "i", "generated_output": "o"})
    assert function.experimentation is not None
    assert function.experimentation.base.candidates == (("a", 1.0),)  # type: ignore[union-attr]  # static
    variant = function.variants["a"]
    assert isinstance(variant, ChatCompletionConfig)
    assert variant.templates["system"].key == f"{name}::a::system"
    system = config.templates.template(f"{name}::a::system")
    assert system.render({"system_text": "x"}) == "Judge xit.\n"
    user = config.templates.template(f"{name}::a::user")
    values = {"input": "in", "generated_output": "out", "reference_output": None}
    assert user.render(values) == "# Input\n\nin\n\n# Generated Output\n\nout"
    assert user.render({**values, "reference_output": "ref"}) == (
        "# Input\n\nin\n\n# Generated Output\n\nout# Reference Output\n\nref"
    )
    metric = config.metrics["tensorzero::function_name::f::evaluator_name::e"]
    assert (metric.type, metric.optimize) == ("float", "min")


def test_judges_of_messages_have_no_user_template(folder: Folder) -> None:
    config = folder.load(judge(judge_variant(), "input_format = 'messages'\n"), FILES)
    function = config.functions["tensorzero::llm_judge::function_name::f::e"]
    assert function.schemas == {}
    assert set(function.variants["a"].templates) == {"system"}  # type: ignore[union-attr]  # a chat completion


def test_instructions_are_a_template_with_one_variable(folder: Folder) -> None:
    error = folder.error(judge(judge_variant()), {"i": "{{ input }}"})
    assert (
        "`functions.f.evaluators.e.variants.a.system_instructions`: template needs variables: "
        "[input] but only `system_text` is allowed" in error
    )
    error = folder.error(judge(judge_variant()), {"i": "{{ input"})
    key = "tensorzero::llm_judge::function_name::f::e::a::system"
    assert f"Failed to add template `{key}`" in error


def test_every_type_of_judge_variant(folder: Folder) -> None:
    part = "{model = 'dummy::text', json_mode = 'on', system_instructions = 'i'}"
    config = folder.load(
        judge(
            judge_variant("a", "active = true")
            + judge_variant(
                "cot", variant=VARIANT.replace("chat_completion", "experimental_chain_of_thought")
            )
            + judge_variant(
                "best",
                variant="type = 'experimental_best_of_n_sampling'\ncandidates = ['a']\n"
                f"evaluator = {part}\ntimeout_s = 1\n",
            )
            + judge_variant("mix", variant=f"type = 'experimental_mixture_of_n'\nfuser = {part}\n")
            + judge_variant(
                "dicl",
                variant="type = 'experimental_dynamic_in_context_learning'\nk = 2\n"
                "model = 'dummy::text'\nembedding_model = 'openai::e'\n",
            )
        ),
        FILES,
        environ={"OPENAI_API_KEY": "k"},
    )
    variants = config.functions["tensorzero::llm_judge::function_name::f::e"].variants
    assert isinstance(variants["best"], BestOfNConfig) and variants["best"].candidates == ("a",)
    assert isinstance(variants["mix"], MixtureOfNConfig) and variants["mix"].candidates == ()
    assert isinstance(variants["dicl"], DiclConfig)
    assert variants["cot"].type == "experimental_chain_of_thought"
    assert variants["a"].timeouts == TimeoutsConfig(1000, 1000)


def test_static_evaluations_still_load(folder: Folder) -> None:
    config = folder.load(
        chat()
        + "[evaluations.n]\ntype = 'static'\nfunction_name = 'f'\ndescription = 'd'\n"
        + "[evaluations.n.evaluators.e]\n"
        + JUDGE
        + "[evaluations.n.evaluators.e.variants.a]\n"
        + VARIANT,
        FILES,
    )
    assert len([line for line in config.warnings if "`[evaluations]` is deprecated" in line]) == 1
    assert config.evaluations["n"].function_name == "f"
    assert "tensorzero::llm_judge::n::e" in config.functions
    assert "tensorzero::evaluation_name::n::evaluator_name::e" in config.metrics
    assert config.templates.template("tensorzero::llm_judge::n::e::a::system").render({})


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (
            "[evaluations.n]\ntype = 'inference'\nfunction_name = 'x'",
            "Function `x` not found (referenced in `[evaluations.n]`)",
        ),
        (
            "[evaluations.'a::b']\ntype = 'inference'\nfunction_name = 'f'",
            'evaluation names cannot contain "::"',
        ),
        ("[evaluations.n]\nfunction_name = 'f'", "evaluations.n: missing tag field `type`"),
        ("[evaluations.n]\ntype = 'x'\nfunction_name = 'f'", "unknown variant `x`"),
        ("[evaluations.n]\ntype = 'inference'", "missing field `function_name`"),
        ("[evaluations.n]\ntype = 'inference'\nfunction_name = 'f'\nx = 1", "unknown field `x`"),
    ],
)
def test_a_fault_in_an_evaluation(folder: Folder, toml: str, text: str) -> None:
    assert text in folder.error(chat(DUMMY) + toml)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("", "o: missing tag field `type`"),
        ("type = 'x'", "o: unknown variant `x`"),
        ("type = 'openai_sft'", "optimizers.o: missing field `model`"),
        ("type = 'openai_rft'\nmodel = 'm'", "optimizers.o: missing field `grader`"),
        ("type = 'together_sft'\nmodel = 'm'\nbatch_size = 'min'", "o.batch_size: invalid type"),
        ("type = 'gepa'\nevaluator_names = ['e']", "missing field `analysis_model`"),
        ("{gepa}", "GEPA optimizer `o` must specify exactly one of"),
        (
            "{gepa}evaluator_names = []",
            "GEPA optimizer `o` must specify at least one evaluator name",
        ),
        (
            "{gepa}evaluator_names = ['e']\nevaluation_name = 'n'",
            "GEPA optimizer `o` cannot specify both `evaluation_name` and `evaluator_names`",
        ),
    ],
)
def test_a_fault_in_an_optimizer(folder: Folder, keys: str, text: str) -> None:
    gepa = "type = 'gepa'\nfunction_name = 'f'\nanalysis_model = 'a'\nmutation_model = 'm'\n"
    errors = folder.errors("[optimizers.o]\n" + keys.replace("{gepa}", gepa))
    assert any(text in line for line in errors), errors


def test_optimizers_load_and_ignore_what_they_do_not_know(folder: Folder) -> None:
    config = folder.load(
        "[optimizers.o]\ntype = 'together_sft'\nmodel = 'm'\nbatch_size = 'max'\nnew = 1\n"
        "[optimizers.d]\ntype = 'dicl'\nembedding_model = 'e'\nvariant_name='v'\nfunction_name='f'"
    )
    assert config.optimizers["o"]["model"] == "m"
    assert any("optimizers.o.new: unknown field `new`" in line for line in config.warnings)
    assert any("optimizers.d: `model` defaults to" in line for line in config.warnings)
