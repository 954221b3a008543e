"""Credential locations: syntax, forms by type, when they are read, what a missing one does."""

from __future__ import annotations

import pytest

from config.folder import Folder, chat, provider
from providers.gcp_account import key_file
from tensorzero.config.credentials import (
    Credential,
    DynamicCredential,
    FallbackCredential,
    FileCredential,
    NoCredential,
    SdkCredential,
    StaticCredential,
)
from tensorzero.config.provider_types import PROVIDER_TYPES
from tensorzero.types.errors import ApiKeyMissing, ConfigError
from upstream.scripted import Script, ScriptedServer, Seen
from upstream.scripted import answer as scripted_answer

ACCOUNT = key_file()
SIMPLE = (
    *("anthropic", "deepseek", "fireworks", "google_ai_studio_gemini", "groq", "hyperbolic"),
    *("mistral", "openai", "openrouter", "together", "xai"),
)


def openai(location: str) -> str:
    return provider(f"type = 'openai'\nmodel_name = 'x'\napi_key_location = {location}")


def gemini(location: str) -> str:
    return provider(
        "type='gcp_vertex_gemini'\nmodel_id='x'\nlocation='l'\nproject_id='p'\n"
        f"credential_location={location}"
    )


def test_a_pasted_key_is_refused_and_not_shown(folder: Folder) -> None:
    error = folder.error(openai("'sk-123456789'"))
    assert error.startswith(
        "models.m.providers.p.api_key_location: Invalid credential location format: `sk-1…`. Use "
        "`env::VAR_NAME`, `path::FILE_PATH`, `dynamic::KEY_NAME`, `sdk`, or `none`."
    )
    assert "23456789" not in error


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("'ENV::X'", "Invalid credential location format: `ENV:…`"),
        ("' env::X'", "Invalid credential location format"),
        ("'None'", "Invalid credential location format"),
        ("3", "expected a credential location string"),
        ("{default = 'none'}", "missing field `fallback`"),
        ("{fallback = 'none'}", "missing field `default`"),
        ("{default='none', fallback='none', third='x'}", "unknown field `third`, expected `default`"),
        ("{default='none', fallback={default='none', fallback='none'}}", "location string"),
        ("'env::UNSET'", "API key missing for provider OpenAI: Environment variable `UNSET` is"),
        ("{default='env::UNSET', fallback='none'}", "Environment variable `UNSET` is missing"),
        ("{default='dynamic::k', fallback='env::UNSET'}", "variable `UNSET` is missing"),
        ("'path::/nowhere'", "Failed to read credentials file - No such file or directory: `/nowhere`"),
        ("'path_from_env::UNSET'", "variable `UNSET` for credentials path is missing"),
        ("'sdk'", "Invalid api_key_location for OpenAI provider"),
        ("{default='dynamic::k', fallback='sdk'}", "Invalid api_key_location for OpenAI provider"),
    ],
)  # fmt: skip
def test_a_fault_in_a_location(folder: Folder, location: str, text: str) -> None:
    error = folder.error(openai(location))
    assert error.startswith("models.m.providers.p") and text in error


def test_a_path_on_openai_stops_the_start(folder: Folder) -> None:
    error = folder.error(openai(f"'path::{folder.path}/key'"), {"key": "k"})
    assert "models.m.providers.p: Invalid api_key_location for OpenAI provider" in error


def test_locations_are_resolved(folder: Folder) -> None:
    def credential(location: str) -> object:
        config = folder.load(openai(location), environ={"K": "value"})
        return config.models["m"].providers[0].credential

    assert credential("'env::K'") == StaticCredential("value")
    assert credential("'dynamic::a::b'") == DynamicCredential("a::b")
    assert credential("'none'") == NoCredential()
    assert credential("{default = 'dynamic::k', fallback = 'env::K'}") == FallbackCredential(
        DynamicCredential("k"), StaticCredential("value")
    )
    assert "value" not in repr(credential("'env::K'"))


def test_an_empty_variable_counts_and_is_warned_about(folder: Folder) -> None:
    config = folder.load(openai("'env::K'"), environ={"K": ""})
    assert config.models["m"].providers[0].credential == StaticCredential("")
    assert any("`K` is set but empty" in line for line in config.warnings)


def test_a_variable_that_is_not_utf_8_is_missing(folder: Folder) -> None:
    error = folder.error(openai("'env::K'"), environ={"K": "\udcff"})
    assert "Environment variable `K` is missing" in error


@pytest.mark.parametrize("name", SIMPLE)
def test_the_default_variable_is_asked_for_at_start(folder: Folder, name: str) -> None:
    toml = provider(f"type = '{name}'\nmodel_name = 'x'")
    error = folder.error(toml)
    variable = error.partition("Environment variable `")[2].partition("`")[0]
    assert error.startswith("models.m.providers.p: API key missing for provider ")
    assert variable.endswith("_API_KEY")
    assert not folder.errors(toml, environ={variable: "k"})
    none = "api_key_location = 'none'\n"
    assert not folder.errors(provider(f"type = '{name}'\nmodel_name = 'x'\n{none}"))


def test_open_servers_need_no_variable(folder: Folder) -> None:
    for name in ("vllm", "sglang"):
        toml = provider(f"type='{name}'\nmodel_name='x'\napi_base='http://h'")
        assert folder.load(toml).models["m"].providers[0].credential == NoCredential()
        error = folder.error(
            f"[provider_types.{name}.defaults]\napi_key_location = 'env::UNSET'\n{toml}"
        )
        assert "`UNSET` is missing" in error


def test_a_type_default_replaces_the_variable(folder: Folder) -> None:
    config = folder.load(
        "[provider_types.openai.defaults]\napi_key_location = 'dynamic::k'\n"
        + provider("type = 'openai'\nmodel_name = 'x'")
    )
    assert config.models["m"].providers[0].credential == DynamicCredential("k")
    model = config.shorthands.get("openai::gpt")
    assert model is not None and model.providers[0].credential == DynamicCredential("k")


def test_a_type_default_that_nobody_uses_is_not_read(folder: Folder) -> None:
    assert not folder.errors("[provider_types.openai.defaults]\napi_key_location = 'env::UNSET'")


def test_azures_old_variable(folder: Folder) -> None:
    def azure(keys: str = "") -> str:
        return provider(f"type='azure'\ndeployment_id='d'\nendpoint='https://h'\n{keys}")

    old = {"AZURE_OPENAI_API_KEY": "old"}
    config = folder.load(azure(), environ=old)
    assert config.models["m"].providers[0].credential == StaticCredential("old")
    assert any(
        line.startswith("Deprecation Warning") and "AZURE_API_KEY" in line
        for line in config.warnings
    )
    pair = "{default='env::AZURE_API_KEY', fallback='dynamic::k'}"
    default = f"[provider_types.azure.defaults]\napi_key_location={pair}\n"
    config = folder.load(default + azure(), environ=old)
    assert config.models["m"].providers[0].credential == StaticCredential("old")
    config = folder.load(azure(), environ={**old, "AZURE_API_KEY": "new"})
    assert config.models["m"].providers[0].credential == StaticCredential("new")
    error = folder.error(azure("api_key_location = 'env::AZURE_API_KEY'"), environ=old)
    assert "Environment variable `AZURE_API_KEY` is missing" in error


def test_googles_aliases(folder: Folder) -> None:
    toml = provider("type='google_ai_studio_gemini'\nmodel_name='x'")
    for name in ("GOOGLE_API_KEY", "GOOGLE_AI_STUDIO_GEMINI_API_KEY"):
        config = folder.load(toml, environ={name: "k"})
        assert config.models["m"].providers[0].credential == StaticCredential("k")


def test_gcp_credentials(folder: Folder) -> None:
    config = folder.load(gemini(f"'path::{folder.path}/k'"), {"k": ACCOUNT})
    assert config.models["m"].providers[0].credential == FileCredential(ACCOUNT)
    assert "private_key" not in repr(config.models["m"].providers[0].credential)
    config = folder.load(
        gemini("'path_from_env::P'"), {"k": ACCOUNT}, environ={"P": str(folder.path / "k")}
    )
    assert config.models["m"].providers[0].credential == FileCredential(ACCOUNT)
    assert folder.load(gemini("'sdk'")).models["m"].providers[0].credential == SdkCredential()
    for content in ("{nope", "[]", "{}"):
        error = folder.error(gemini(f"'path::{folder.path}/k'"), {"k": content})
        assert "models.m.providers.p: Error in acquiring GCP credentials: " in error
    for location in ("'env::K'", "'none'"):
        error = folder.error(gemini(location), environ={"K": "k"})
        assert (
            "Error in acquiring GCP credentials: Invalid credential_location for GCPVertexGemini "
            "provider" in error
        )
    toml = provider("type='gcp_vertex_anthropic'\nmodel_id='x'\nlocation='l'\nproject_id='p'")
    assert "`GCP_VERTEX_CREDENTIALS_PATH` for credentials path is missing" in folder.error(toml)


def test_dummy_takes_none_and_dynamic(folder: Folder) -> None:
    def dummy(location: str) -> str:
        return provider(f"type='dummy'\nmodel_name='text'\napi_key_location={location}")

    for location in ("'none'", "'dynamic::k'", "{default='dynamic::k', fallback='env::UNSET'}"):
        assert not folder.errors(dummy(location))
    assert "Invalid api_key_location for Dummy provider" in folder.error(
        dummy("'env::K'"), environ={"K": "k"}
    )


def test_the_check_may_leave_credentials_out(folder: Folder) -> None:
    toml = openai("'env::UNSET'") + provider("type = 'groq'\nmodel_name = 'x'", model="n")
    config = folder.load(toml, check_credentials=False)
    assert set(config.models) == {"m", "n"}
    assert folder.errors(toml)
    with pytest.raises(Exception, match="Invalid api_key_location for OpenAI provider"):
        folder.load(openai("'sdk'"), check_credentials=False)
    with pytest.raises(Exception, match="not found for Azure endpoint"):
        folder.load(
            provider("type='azure'\ndeployment_id='d'\nendpoint='env::UNSET'"),
            check_credentials=False,
        )


def test_shorthands_start_without_key_and_remember_what_they_found(folder: Folder) -> None:
    environ: dict[str, str] = {}
    config = folder.load(
        chat("type='chat_completion'\nmodel='openai::gpt-5-mini'"), environ=environ
    )
    for _ in range(2):
        with pytest.raises(ApiKeyMissing, match="OPENAI_API_KEY"):
            config.shorthands.get("openai::gpt-5-mini")
        environ["OPENAI_API_KEY"] = "too late"
    model = config.shorthands.get("dummy::text")
    assert model is not None and model.providers[0].name == "dummy"


def test_shorthand_models(folder: Folder) -> None:
    shorthands = folder.load(
        "", environ={"OPENAI_API_KEY": "k", "FIREWORKS_API_KEY": "k"}
    ).shorthands
    for name, options in (
        ("openai::responses::m", {"model_name": "m", "api_type": "responses"}),
        ("openai::ft:x:y::z", {"model_name": "ft:x:y::z"}),
        ("openai::", {"model_name": ""}),
        ("fireworks::accounts/a/models/m", {"model_name": "accounts/a/models/m"}),
    ):
        model = shorthands.get(name)
        assert model is not None and dict(model.providers[0].options) == options
        assert model.name == name and model.providers[0].name == name.partition("::")[0]
        assert model.providers[0].cost is None
    for name in ("azure::x", "vllm::x", "nope::x", "Openai::x", "gpt", "tensorzero::x"):
        assert shorthands.get(name) is None


def test_gcp_shorthands(folder: Folder) -> None:
    folder.write({"k": ACCOUNT})
    environ = {"GCP_VERTEX_CREDENTIALS_PATH": str(folder.path / "k")}
    shorthands = folder.load("", environ=environ).shorthands
    base = "projects/p/locations/l"
    for name, options in (
        (f"gcp_vertex_gemini::{base}/publishers/google/models/m", {"model_id": "m"}),
        (f"gcp_vertex_gemini::{base}/endpoints/1", {"endpoint_id": "1"}),
        (f"gcp_vertex_anthropic::{base}/publishers/anthropic/models/c/x", {"model_id": "c/x"}),
    ):
        model = shorthands.get(name)
        assert model is not None
        assert dict(model.providers[0].options) == {
            "project_id": "p",
            "location": "l",
            **options,
        }
    for rest, text in (
        ("gemini-2.5-flash", "is not in the expected format (should start with"),
        (f"x{base}/endpoints/1", "does not start with 'projects'"),
        ("projects/p/place/l/endpoints/1", "does not contain 'locations'"),
        (f"{base}/models/m/x", "does not contain a publisher or endpoint"),
        (f"{base}/publishers/anthropic/models/m", "has publisher `anthropic`, expected `google`"),
        (f"{base}/publishers/google", "does not contain a model"),
    ):
        with pytest.raises(ConfigError) as caught:
            shorthands.get(f"gcp_vertex_gemini::{rest}")
        assert str(caught.value).count("GCP shorthand url") == 1
        assert text in str(caught.value)


AWS = "type='aws_bedrock'\nmodel_id='x'\n"
FAR_FROM_AWS = {"AWS_EC2_METADATA_DISABLED": "true"}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("", "aws_bedrock provider requires a region"),
        ("region='none'", "aws_bedrock provider requires a region"),
        ("region='sdk'", "Failed to determine AWS region"),
        (
            "region='env::UNSET'",
            "Environment variable `UNSET` not found. Your configuration for a `aws_bedrock` provider "
            "requires this variable for `region`.",
        ),
        ("region='path::/nowhere'", "Failed to read the file for `region`"),
        ("region='r'\naccess_key_id='env::A'", "`access_key_id` requires `secret_access_key` to"),
        ("region='r'\nsecret_access_key='env::A'", "`secret_access_key` requires `access_key_id`"),
        (
            "region='r'\nsession_token='env::A'",
            "`session_token` cannot be specified without `access_key_id` and `secret_access_key`",
        ),
        (
            "region='r'\naccess_key_id='env::A'\nsecret_access_key='dynamic::s'",
            "must use the same source type",
        ),
        (
            "region='r'\naccess_key_id='env::A'\nsecret_access_key='env::A'\n"
            "session_token='dynamic::t'",
            "`session_token` must also use",
        ),
        (
            "region='r'\napi_key='env::A'\naccess_key_id='env::A'",
            "Cannot specify both `api_key` and IAM credentials",
        ),
        ("region='r'\napi_key='sdk'", "Unsupported credential location for `api_key`"),
        ("region='r'\napi_key='env::UNSET'", "`UNSET` not found for `api_key` in `aws_bedrock`"),
        (
            "region='r'\naccess_key_id='path::x'\nsecret_access_key='path::x'",
            "Invalid `access_key_id` for `aws_bedrock` provider: only `env::`, `dynamic::`, and `sdk`",
        ),
        (
            "region='r'\naccess_key_id='AKIA1234567'\nsecret_access_key='env::A'",
            "Invalid `access_key_id` for `aws_bedrock` provider",
        ),
        (
            "region='r'\naccess_key_id='env::UNSET'\nsecret_access_key='env::A'",
            "Environment variable `UNSET` not found for `access_key_id` in `aws_bedrock`.",
        ),
        ("region='r'\nendpoint_url='sdk'", '`endpoint_url = "sdk"` is not supported'),
        ("region='r'\nendpoint_url='nope'", "Invalid endpoint URL `nope` for aws_bedrock"),
        ("region='r'\napi_key_location='none'", "unknown field `api_key_location`"),
    ],
)
def test_a_fault_in_aws_keys(folder: Folder, keys: str, text: str) -> None:
    error = folder.error(
        provider(AWS + keys), environ=dict(FAR_FROM_AWS, A="a", HOME=str(folder.path))
    )
    assert error.startswith("models.m.providers.p") and text in error
    assert "1234567" not in error


def test_aws_regions_and_keys(folder: Folder) -> None:
    def load(keys: str, **environ: str) -> object:
        environ = {"HOME": str(folder.path), "A": "a", **environ}
        config = folder.load(provider(AWS + keys), environ=environ)
        return config.models["m"].providers[0]

    assert load("region='sdk'", AWS_REGION="eu-1").options["region"] == "eu-1"  # type: ignore[attr-defined]  # a provider
    folder.write({".aws/config": "[default]\nregion = d-1\n[profile work]\nregion = w-1\n"})
    assert load("region='sdk'").options["region"] == "d-1"  # type: ignore[attr-defined]  # as above
    assert load("region='sdk'", AWS_PROFILE="work").options["region"] == "w-1"  # type: ignore[attr-defined]  # as above
    assert load("region='dynamic::r'").options["region"] == DynamicCredential("r")  # type: ignore[attr-defined]  # as above
    folder.write({"region": " f-1\n"})
    assert load(f"region='path::{folder.path}/region'").options["region"] == "f-1"  # type: ignore[attr-defined]  # as above
    keys = "region='r'\naccess_key_id='env::A'\nsecret_access_key='env::A'\nsession_token='sdk'"
    assert set(load(keys).credentials) == {"access_key_id", "secret_access_key"}  # type: ignore[attr-defined]  # as above
    config = folder.load(
        provider(f"{AWS}allow_auto_detect_region = true"), environ={"AWS_REGION": "eu-1"}
    )
    deprecated = [line for line in config.warnings if "Deprecation Warning" in line]
    assert len(deprecated) == 1 and 'region = "sdk"' in deprecated[0]


def test_the_region_of_an_instance(folder: Folder) -> None:
    """Where neither environment nor profile name one, the machine's own metadata does."""

    def script(seen: Seen) -> Script:
        if seen.line.startswith("PUT"):
            return scripted_answer(b"a-metadata-token")
        assert seen.line.split()[1] == "/latest/meta-data/placement/availability-zone/"
        return scripted_answer(b"eu-west-3b")

    server = ScriptedServer(script).in_thread()
    environ = {
        "HOME": str(folder.path),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url.removesuffix("/v1"),
    }
    config = folder.load(provider(f"{AWS}region = 'sdk'"), environ=environ)
    assert config.models["m"].providers[0].options["region"] == "eu-west-3"


def test_the_bearer_key_of_the_environment(folder: Folder) -> None:
    """Only where nothing is configured, and only for Bedrock."""

    def keys(more: str, text: str = AWS, token: str = "b") -> dict[str, Credential]:
        environ = {"AWS_BEARER_TOKEN_BEDROCK": token, "A": "a"}
        config = folder.load(provider(f"{text}region = 'r'\n{more}"), environ=environ)
        return dict(config.models["m"].providers[0].credentials)

    assert keys("") == {"api_key": StaticCredential("b")}
    assert keys("", token="") == {}
    assert keys("api_key = 'env::A'") == {"api_key": StaticCredential("a")}
    assert keys("api_key = 'dynamic::k'") == {"api_key": DynamicCredential("k")}
    for kind in ("env::A", "dynamic::k", "sdk"):
        found = keys(f"access_key_id = '{kind}'\nsecret_access_key = '{kind}'")
        assert set(found) == {"access_key_id", "secret_access_key"}
    sagemaker = (
        "type='aws_sagemaker'\nendpoint_name='e'\nmodel_name='m'\nhosted_provider='openai'\n"
    )
    assert keys("", sagemaker) == {}


@pytest.mark.parametrize(
    ("url", "loud"),
    [
        ("http://localhost:4566/", True),
        ("https://bedrock-runtime.us-east-1.amazonaws.com.evil.test", True),
        ("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/", False),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", False),
        ("https://bedrock-runtime.us-east-1.api.aws", False),
    ],
)
def test_an_endpoint_outside_aws_warns(folder: Folder, url: str, loud: bool) -> None:
    config = folder.load(provider(f"{AWS}region='r'\nendpoint_url='{url}'"))
    assert any("outside the domains of AWS" in line for line in config.warnings) is loud


def test_a_dynamic_endpoint_with_keys_of_ours_warns_twice(folder: Folder) -> None:
    own = "access_key_id='env::A'\nsecret_access_key='env::A'"
    theirs = "access_key_id='dynamic::a'\nsecret_access_key='dynamic::b'"
    for keys, loud in (("", True), (own, True), (theirs, False)):
        text = f"{AWS}region='r'\nendpoint_url='dynamic::place'\n{keys}"
        config = folder.load(provider(text), environ={"A": "a"})
        warnings = "\n".join(config.warnings)
        assert "callers choose where the call goes to" in warnings
        assert ("a credential of yours" in warnings) is loud


REQUIRED = {"str!": "x", "url!": "http://h/v1", "endpoint!": "https://h"}
BY_KEY = [
    name
    for name, kind in PROVIDER_TYPES.items()
    if kind.credential_key == "api_key_location" and name != "dummy"
]


@pytest.mark.parametrize("location", ["path::FOLDER/k", "path_from_env::K", "sdk"])
@pytest.mark.parametrize("kind", BY_KEY)
def test_an_api_key_is_not_a_file(folder: Folder, kind: str, location: str) -> None:
    keys = PROVIDER_TYPES[kind].keys
    options = {key: REQUIRED[form] for key, form in keys.items() if form in REQUIRED}
    options |= {"type": kind, "api_key_location": location.replace("FOLDER", str(folder.path))}
    text = "\n".join(f"{key} = '{value}'" for key, value in options.items())
    error = folder.error(provider(text), {"k": "key"}, environ={"K": str(folder.path / "k")})
    assert error.startswith("models.m.providers.p") and "api_key_location" in error
    assert "Invalid api_key_location for " in error
