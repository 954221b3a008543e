"""``[models.*]``, their providers, timeouts and costs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from config.folder import Folder, chat, openai, provider
from providers.gcp_account import key_file

OPEN = 'type = "openai"\nmodel_name = "x"\napi_key_location = "none"\n'
TYPES = {
    "anthropic": "model_name = 'x'",
    "aws_bedrock": "model_id = 'x'\nregion = 'us-east-1'",
    "aws_sagemaker": "endpoint_name = 'x'\nmodel_name = 'x'\nhosted_provider = 'tgi'\n"
    "region = 'us-east-1'",
    "azure": "deployment_id = 'x'\nendpoint = 'https://r.openai.azure.com'",
    "deepseek": "model_name = 'x'",
    "fireworks": "model_name = 'x'",
    "gcp_vertex_anthropic": "model_id = 'x'\nlocation = 'global'\nproject_id = 'p'",
    "gcp_vertex_gemini": "endpoint_id = 'x'\nlocation = 'global'\nproject_id = 'p'",
    "google_ai_studio_gemini": "model_name = 'x'",
    "groq": "model_name = 'x'",
    "hyperbolic": "model_name = 'x'",
    "mistral": "model_name = 'x'",
    "openai": "model_name = 'x'",
    "openrouter": "model_name = 'x'",
    "sglang": "model_name = 'x'\napi_base = 'http://h/v1'",
    "tgi": "api_base = 'http://h/v1'",
    "together": "model_name = 'x'",
    "vllm": "model_name = 'x'\napi_base = 'http://h/v1'",
    "xai": "model_name = 'x'",
    "dummy": "model_name = 'text'",
}
ENVIRON = {
    **{
        f"{name}_API_KEY": "k"
        for name in (
            *("ANTHROPIC", "AZURE", "DEEPSEEK", "FIREWORKS", "GOOGLE_AI_STUDIO", "GROQ"),
            *("HYPERBOLIC", "MISTRAL", "OPENAI", "OPENROUTER", "TOGETHER", "XAI"),
        )
    },
    "GCP_VERTEX_CREDENTIALS_PATH": "gcp.json",
}
SERVICE_ACCOUNT = key_file()


@pytest.mark.parametrize("name", TYPES)
def test_every_type_loads_with_its_required_keys(
    folder: Folder, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    folder.write({"gcp.json": SERVICE_ACCOUNT})
    config = folder.load(provider(f"type = '{name}'\n{TYPES[name]}"), environ=ENVIRON)
    assert config.models["m"].providers[0].type == name
    assert not config.warnings


@pytest.mark.parametrize("name", TYPES)
def test_every_required_key_is_asked_for(folder: Folder, name: str) -> None:
    keys = TYPES[name].splitlines()
    for index, line in enumerate(keys):
        key = line.partition(" ")[0]
        if key in ("region", "endpoint_id"):
            continue  # with rules of their own
        rest = "\n".join(keys[:index] + keys[index + 1 :])
        errors = folder.errors(provider(f"type = '{name}'\n{rest}"), environ=ENVIRON)
        assert any(
            line.startswith(f"models.m.providers.p: missing field `{key}`") for line in errors
        ), errors


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[models.m]\nrouting = ['p']", "models.m: missing field `providers`"),
        ("[models.m]\nproviders = {}", "models.m: missing field `routing`"),
        (openai().replace("routing", "weight = 1\nrouting"), "models.m.weight: unknown field `we"),
        (openai().replace("['p']", "[]").replace('["p"]', "[]"), "`models.m`: `routing` must not be"),
        (
            openai().replace('["p"]', '["p", "p"]'),
            "`models.m.routing`: duplicate entry `p`",
        ),
        (
            openai().replace('["p"]', '["p", "q"]'),
            "`models.m`: `routing` contains entry `q` that does not exist in `providers`",
        ),
        (
            openai() + "[models.m.providers.q]\n" + OPEN,
            "`models.m`: Provider `q` is not listed in `routing`",
        ),
        (
            openai().replace('["p"]', '["tensorzero::p", "p"]'),
            "`models.m.routing`: Provider name cannot start with 'tensorzero::': tensorzero::p",
        ),
        (openai().replace("routing", "skip_relay = 1\nrouting"), "models.m.skip_relay: invalid type"),
        (openai().replace("routing", "namespace = ''\nrouting"), "models.m: Namespace identifier ca"),
        (openai().replace("routing", "timeouts.total_ms = 1\nrouting"), "models.m.timeouts.total_ms"),
        (provider("model_name = 'x'"), "models.m.providers.p: missing tag field `type`"),
        (provider("type = 3"), "models.m.providers.p: missing tag field `type`"),
        (provider("type = 'OpenAI'"), "unknown variant `OpenAI`, expected one of `anthropic`, `aws_"),
        (openai("retries = {}"), "models.m.providers.p.retries: unknown field `retries`"),
        (openai("timeouts.bad = 1"), "models.m.providers.p.timeouts.bad: unknown field `bad`, exp"),
        (openai("timeouts.streaming.x = 1"), "models.m.providers.p.timeouts.streaming.x: unknown"),
        (openai("discard_unknown_chunks = 'y'"), "p.discard_unknown_chunks: invalid type: string"),
        (openai("extra_body = [{pointer = '/a', delete = false}]"), "`delete` must be `true`"),
        (openai("api_type = 'batch'"), "p.api_type: unknown variant `batch`, expected `chat_comp"),
        (
            openai("include_encrypted_reasoning = true"),
            'include_encrypted_reasoning is only supported when api_type = "responses"',
        ),
        (openai("provider_tools = [{type = 'x'}]"), "These will be ignored."),
        (openai("content_type_overrides = {a = 'b'}"), "overrides.a: unknown variant `b`"),
        (openai("api_base = 'h/v1'"), "p.api_base: invalid URL: relative URL without a base"),
        (openai("api_base = 'env::X'"), "p.api_base: invalid URL: the scheme is `env`"),
        (openai("api_base = 'ftp://h'"), "p.api_base: invalid URL: the scheme is `ftp`"),
        (openai("api_base = 'http://'"), "p.api_base: invalid URL: the URL has no host"),
        (openai("api_base = 'http://h:x/'"), "p.api_base: invalid URL"),
        (provider("type='groq'\nmodel_name='x'\napi_key_location='none'\napi_base='http://h'"), "unknown field `api_base`"),
        (provider("type='tgi'\napi_base='http://h'\nmodel_name='x'"), "unknown field `model_name`"),
        (
            provider(
                "type='gcp_vertex_gemini'\nmodel_id='x'\nlocation='l'\nproject_id='p'\n"
                "credential_location='sdk'\napi_key_location='none'"
            ),
            "unknown field `api_key_location`",
        ),
        (
            provider(
                "type='gcp_vertex_gemini'\nlocation='l'\nproject_id='p'\n"
                "credential_location='sdk'"
            ),
            "models.m.providers.p: Exactly one of model_id or endpoint_id must be provided",
        ),
        (
            provider(
                "type='gcp_vertex_gemini'\nlocation='l'\nproject_id='p'\nmodel_id='a'\n"
                "endpoint_id='b'\ncredential_location='sdk'"
            ),
            "models.m.providers.p: Exactly one of model_id or endpoint_id must be provided",
        ),
        (
            provider(
                "type='aws_sagemaker'\nendpoint_name='e'\nmodel_name='m'\nregion='r'\n"
                "hosted_provider='vllm'"
            ),
            "p.hosted_provider: unknown variant `vllm`, expected `openai` or `tgi`",
        ),
        (provider("type='dummy'\nmodel_name='nothing'"), "models.m.providers.p.model_name: "),
    ],
)  # fmt: skip
def test_a_fault_in_a_model(folder: Folder, toml: str, text: str) -> None:
    errors = folder.errors(toml, environ=ENVIRON)
    assert any(text in line for line in errors), errors


@pytest.mark.parametrize("name", ["anthropic::x", "vllm::x", "tensorzero::x", "dummy::x"])
def test_reserved_model_names(folder: Folder, name: str) -> None:
    error = folder.error(provider(OPEN, model=name))
    assert f"Failed to load models: Model name '{name}' contains a reserved prefix" in error


def test_names_that_only_look_reserved(folder: Folder) -> None:
    names = ("my-openai::x", "openai", "openai:gpt", "openai/gpt", "llama-3.1-8b")
    config = folder.load("".join(provider(OPEN, model=name) for name in names))
    assert tuple(config.models) == names


def test_faults_of_several_models_are_reported_together(folder: Folder) -> None:
    errors = folder.errors(
        provider("type = 'openai'\nmodel_name = 'x'\nbad = 1", model="a")
        + provider("type = 'groq'", model="b").replace('["p"]', "[]")
        + "[embedding_models.c]\nrouting = []\nproviders = {}"
    )
    for text in (
        "models.a.providers.p: API key missing for provider OpenAI: Environment variable "
        "`OPENAI_API_KEY` is missing",
        "models.a.providers.p.bad: unknown field `bad`",
        "`models.b`: `routing` must not be empty",
        "models.b.providers.p: missing field `model_name`",
        "`embedding_models.c`: `routing` must not be empty",
    ):
        assert any(text in line for line in errors), (text, errors)


def test_model_timeouts_stay_within_the_global_limit(folder: Folder) -> None:
    limit = "[gateway]\nglobal_outbound_http_timeout_ms = 100\n"
    for toml, path in (
        (openai("timeouts.non_streaming.total_ms = 101"), "models.m.providers.p"),
        (openai().replace("routing", "timeouts.streaming.ttft_ms = 101\nrouting"), "models.m"),
    ):
        error = folder.error(limit + toml)
        assert error.startswith(f"{path}: The `timeouts.")
        assert "greater than `gateway.global_outbound_http_timeout_ms`: `100`" in error
    assert not folder.errors(limit + openai("timeouts.non_streaming.total_ms = 100"))
    config = folder.load(openai("timeouts.streaming = {ttft_ms = 5, total_ms = 4}"))
    assert any("is less than `streaming.ttft_ms`" in line for line in config.warnings)


@pytest.mark.parametrize(
    ("key", "entry", "text"),
    [
        ("cost", "pointer='/a', cost_per_unit=1, cost_per_million=1", "specify exactly one of"),
        ("cost", "pointer='/a'", "must specify exactly one of `cost_per_million` or"),
        ("cost", "cost_per_unit=1", "invalid pointer configuration"),
        ("cost", "pointer_streaming='/a', cost_per_unit=1", "invalid pointer configuration"),
        (
            "cost",
            "pointer='/a', pointer_streaming='/a', pointer_nonstreaming='/a', cost_per_unit=1",
            "invalid pointer configuration",
        ),
        ("cost", "pointer='usage', cost_per_unit=1", "invalid JSON pointer `usage`"),
        ("cost", "pointer='/a~2', cost_per_unit=1", "invalid JSON pointer `/a~2`"),
        ("batch_cost", "pointer_streaming='/a', cost_per_unit=1", "missing field `pointer`"),
    ],
)
def test_a_fault_in_a_cost(folder: Folder, key: str, entry: str, text: str) -> None:
    error = folder.error(openai(f"{key} = [{{ {entry} }}]"))
    assert error.startswith(f"models.m.providers.p.{key}: ") and text in error


def test_a_price_is_a_number(folder: Folder) -> None:
    error = folder.error(openai("cost = [{pointer = '/a', cost_per_unit = '1'}]"))
    assert "models.m.providers.p.cost[0].cost_per_unit: invalid type: string" in error


def test_costs(folder: Folder) -> None:
    config = folder.load(
        openai(
            "cost = [{pointer = '/a', cost_per_million = 0.1, required = true},"
            " {pointer_nonstreaming = '/b', pointer_streaming = '/r/b', cost_per_unit = -2, x = 1}]"
            "\nbatch_cost = [{pointer = '', cost_per_unit = 0.1}]"
        )
    )
    provider_config = config.models["m"].providers[0]
    assert provider_config.cost is not None and provider_config.batch_cost is not None
    first, second = provider_config.cost
    assert first.rate == Decimal("0.0000001") and first.required
    assert first.pointer_nonstreaming == first.pointer_streaming == "/a"
    assert (second.pointer_nonstreaming, second.pointer_streaming) == ("/b", "/r/b")
    assert second.rate == Decimal("-2.0")
    assert provider_config.batch_cost[0].rate == Decimal("0.1")
    assert any("cost[1].x: unknown field `x`" in line for line in config.warnings)
    assert folder.load(openai("cost = []")).models["m"].providers[0].cost == ()
    assert folder.load(openai()).models["m"].providers[0].cost is None


def test_warnings_about_urls(folder: Folder) -> None:
    def warnings(url: str) -> str:
        return "\n".join(folder.load(openai(f"api_base = '{url}'")).warnings)

    assert "which is appended to it again" in warnings("http://h/v1/chat/completions/")
    assert "the query string of this URL is not sent" in warnings("http://h/v1?x=1")
    assert warnings("http://h/v1") == warnings("https://h/v1/") == ""
    config = folder.load(
        provider(
            "type='anthropic'\nmodel_name='x'\napi_key_location='none'\n"
            "api_base='https://h/v1/messages'"
        )
    )
    assert any("`/messages` is cut off" in line for line in config.warnings)


def test_deprecated_keys_without_effect(folder: Folder) -> None:
    config = folder.load(
        provider(
            "type='anthropic'\nmodel_name='x'\napi_key_location='none'\n"
            "beta_structured_outputs = true",
            model="a",
        )
        + provider(
            "type='together'\nmodel_name='x'\napi_key_location='none'\nparse_think_blocks=false",
            model="b",
        )
    )
    deprecated = [line for line in config.warnings if line.startswith("Deprecation Warning")]
    assert len(deprecated) == 2 and all("has no effect" in line for line in deprecated)


def test_the_responses_api_is_read(folder: Folder) -> None:
    config = folder.load(
        openai(
            "api_type = 'responses'\ninclude_encrypted_reasoning = true\n"
            "provider_tools = [{type = 'web_search'}]"
        )
        + chat("type = 'chat_completion'\nmodel = 'openai::responses::gpt-5'")
    )
    options = config.models["m"].providers[0].options
    assert options["api_type"] == "responses" and options["include_encrypted_reasoning"]
    assert options["provider_tools"] == [{"type": "web_search"}]
    assert not config.unserved_variants


def test_azure_endpoints(folder: Folder) -> None:
    def azure(endpoint: str) -> str:
        return provider(
            f"type='azure'\ndeployment_id='d'\nendpoint='{endpoint}'\napi_key_location='none'"
        )

    error = folder.error(azure("env::UNSET"))
    assert "Environment variable 'UNSET' not found for Azure endpoint" in error
    for bad in ("not a url", "none", "sdk", "path::x"):
        assert f"Invalid endpoint URL '{bad}'" in folder.error(azure(bad))
    error = folder.error(azure("env::E"), environ={"E": "nope"})
    assert "Invalid endpoint URL from env var 'E': " in error
    config = folder.load(azure("env::E"), environ={"E": "https://r.openai.azure.com"})
    assert config.models["m"].providers[0].options["endpoint"] == "https://r.openai.azure.com"
    config = folder.load(azure("dynamic::e"))
    (warning,) = [line for line in config.warnings if "endpoint comes from the request" in line]
    assert "a credential of yours" not in warning
    config = folder.load(azure("dynamic::e").replace("'none'", "'env::K'"), environ={"K": "k"})
    assert any("a credential of yours" in line for line in config.warnings)


def embedding(keys: str = OPEN, model: str = "") -> str:
    return (
        f"[embedding_models.e]\nrouting = ['p']\n{model}\n[embedding_models.e.providers.p]\n{keys}"
    )


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (
            embedding().replace("embedding_models.e", "embedding_models.'azure::x'"),
            "Failed to load embedding models: Embedding model name 'azure::x' contains a reserved",
        ),
        (
            embedding("type = 'anthropic'\nmodel_name = 'x'"),
            "embedding_models.e.providers.p: Unsupported provider config for embedding: `anthropic`",
        ),
        (embedding(model="timeouts = {}"), "embedding_models.e.timeouts: unknown field `timeouts`"),
        (embedding(model="skip_relay = true"), "unknown field `skip_relay`"),
        (
            embedding(f"{OPEN}discard_unknown_chunks = true"),
            "unknown field `discard_unknown_chunks`",
        ),
        (embedding(f"{OPEN}batch_cost = []"), "unknown field `batch_cost`"),
        (embedding(f"{OPEN}timeouts = {{}}"), "unknown field `timeouts`"),
        (embedding().replace("['p']", "['q', 'p']"), "`routing` contains entry `q` that does not"),
        (embedding().replace("['p']", "[]"), "`embedding_models.e`: `routing` must not be empty"),
        (
            embedding("type = 'openai'\nmodel_name = 'x'"),
            "embedding_models.e.providers.p: API key missing for provider OpenAI",
        ),
        (
            embedding(f"{OPEN}cost = [{{pointer_streaming = '/a', cost_per_unit = 1}}]"),
            "embedding_models.e.providers.p.cost: missing field `pointer`",
        ),
        ("[embedding_models.e]\nrouting = ['p']", "embedding_models.e: missing field `providers`"),
    ],
)
def test_a_fault_in_an_embedding_model(folder: Folder, toml: str, text: str) -> None:
    errors = folder.errors(toml)
    assert any(text in line for line in errors), errors


def test_an_embedding_model_whole(folder: Folder) -> None:
    config = folder.load(
        embedding(f"{OPEN}timeout_ms = 5\ncost = [{{pointer = '/a', cost_per_unit = 1}}]")
        .replace("['p']", "['p', 'p']\ntimeout_ms = 7")
        .replace(
            "[embedding_models.e.", f"[embedding_models.e.providers.q]\n{OPEN}[embedding_models.e."
        )
        + "\n"
        + openai().replace('"m"', '"e"')
        + "[gateway]\nglobal_outbound_http_timeout_ms = 6\n"
    )
    model = config.embedding_models["e"]
    assert model.timeout_ms == 7 and [one.name for one in model.providers] == ["p"]
    assert model.providers[0].timeout_ms == 5
    assert "e" in config.models
    for text in ("duplicate entry `p`", "`q` is not listed", "`timeout_ms` is above"):
        assert any(text in line for line in config.warnings), config.warnings


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[provider_types.aws_bedrock]", "provider_types.aws_bedrock: unknown field `aws_bedrock`"),
        ("[provider_types.dummy]", "unknown field `dummy`"),
        ("[provider_types.nope]", "unknown field `nope`"),
        ("[provider_types.openai.defaults]", "defaults: missing field `api_key_location`"),
        (
            "[provider_types.gcp_vertex_gemini.defaults]\napi_key_location = 'sdk'",
            "missing field `credential_location`",
        ),
        (
            "[provider_types.openai.defaults]\napi_key_location = 'sdk'",
            "Invalid api_key_location for OpenAI provider",
        ),
        (
            "[provider_types.openai.defaults]\napi_key_location = {default = 'none', fallback='sdk'}",
            "Invalid api_key_location for OpenAI provider",
        ),
        ("[provider_types.gcp_vertex_gemini.batch]", "batch: missing field `storage_type`"),
        (
            "[provider_types.gcp_vertex_gemini.batch]\nstorage_type = 'cloud_storage'",
            "batch: missing field `input_uri_prefix`",
        ),
        ("[provider_types.gcp_vertex_gemini]\nx = 1", "gcp_vertex_gemini.x: unknown field `x`"),
        ("[provider_types.gcp_vertex_gemini.sft]", "sft: missing field `project_id`"),
        ("[provider_types.fireworks.sft]", "sft: missing field `account_id`"),
        ("[provider_types.together.sft]\nx = 1", "sft.x: unknown field `x`"),
    ],
)
def test_a_fault_in_provider_types(folder: Folder, toml: str, text: str) -> None:
    errors = folder.errors(toml)
    assert any(text in line for line in errors), errors


def test_provider_types_load(folder: Folder) -> None:
    config = folder.load(
        "[provider_types.gcp_vertex_gemini.batch]\nstorage_type = 'none'\n"
        "[provider_types.together.sft]\nwandb_api_key = 'wandb-123'\n"
        "[provider_types.openai]\nnew = 1\n[provider_types.openai.defaults]\n"
        "api_key_location = 'dynamic::k'\nother = 2\n"
    )
    for text in ("becomes part of the stored", "unknown field `new`", "unknown field `other`"):
        assert any(text in line for line in config.warnings), config.warnings
    assert not any("wandb-123" in line for line in config.warnings)


@pytest.mark.parametrize(
    ("base", "loud"), [("v1", False), ("v1/", False), ("v1/messages", True), ("v1/messages/", True)]
)
def test_a_base_of_anthropic_that_ends_in_messages_warns(
    folder: Folder, base: str, loud: bool
) -> None:
    config = folder.load(
        provider(
            f"type='anthropic'\nmodel_name='x'\napi_key_location='none'\napi_base='http://h/{base}'"
        )
    )
    assert any("`/messages` is cut off" in line for line in config.warnings) is loud
