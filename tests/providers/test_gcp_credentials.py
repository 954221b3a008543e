"""How calls of Vertex AI are authenticated: key files, tokens that requests bring, pairs."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from providers.calls import MODEL_INFERENCE_ID, request
from providers.gcp_account import EMAIL, key_file, read_jwt
from providers.gemini import HOSTS, VERTEX, VERTEX_OPTIONS, ask, says
from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.credentials import (
    DynamicCredential,
    FallbackCredential,
    FileCredential,
    NoCredential,
    SdkCredential,
)
from tensorzero.config.model import ModelConfig, ProviderConfig
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.models.table import ModelTable
from tensorzero.providers.base import ProviderContext, upstream_hosts
from tensorzero.providers.gcp.tokens import PAUSE_S
from tensorzero.providers.gcp_vertex_gemini import GCPVertexGeminiProvider
from tensorzero.types.errors import ApiKeyMissing, GCPCredentials
from tensorzero.types.extra import ExtraHeader
from tensorzero.types.model import Attempt
from tzcore.client import Pool
from upstream.scripted import ScriptedServer, answer, event, stream

REFUSED = answer(b"no", "401 Unauthorized")
HELLO = answer(says("Hello!"))
STREAM = stream(event(says("Hello!")))


def test_a_key_file_signs_a_token_for_the_region() -> None:
    outcome = ask(VERTEX, credential=FileCredential(key_file()), times=3)
    outcome.answered()
    header, claims = read_jwt(outcome.headers["authorization"])
    assert header == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
    assert claims["iss"] == claims["sub"] == EMAIL
    assert claims["aud"] == "https://us-central1-aiplatform.googleapis.com/"
    assert claims["exp"] == claims["iat"] + 3600
    assert abs(claims["iat"] - time.time()) < 60
    # Signed once; nobody was asked for a token.
    assert len({seen.headers["authorization"] for seen in outcome.seen}) == 1
    assert len(outcome.seen) == 3


def test_the_audience_of_the_global_location() -> None:
    options = {**VERTEX_OPTIONS, "location": "global"}
    outcome = ask(VERTEX, credential=FileCredential(key_file()), options=options)
    _, claims = read_jwt(outcome.headers["authorization"])
    assert claims["aud"] == "https://aiplatform.googleapis.com/"


def test_a_token_that_the_request_brings() -> None:
    dynamic = DynamicCredential("gcp")
    outcome = ask(VERTEX, credential=dynamic, credentials={"gcp": "ya29.token"})
    assert outcome.headers["authorization"] == "Bearer ya29.token"
    outcome = ask(VERTEX, credential=dynamic, credentials={})
    error = outcome.failed()
    assert isinstance(error, ApiKeyMissing)
    assert outcome.seen == []
    assert (str(error), error.status) == (
        "API key missing for provider GCP Vertex Gemini: Dynamic api key `gcp` is missing",
        400,
    )
    # It is the request's: nothing can be done about a refusal.
    outcome = ask(VERTEX, None, REFUSED, credential=dynamic, credentials={"gcp": "ya29.token"})
    assert outcome.failed().status == 401
    assert len(outcome.seen) == 1


def test_a_key_file_that_the_request_brings() -> None:
    dynamic = DynamicCredential("gcp")
    outcome = ask(VERTEX, credential=dynamic, credentials={"gcp": f" {key_file()}"}, times=2)
    outcome.answered()
    _, claims = read_jwt(outcome.headers["authorization"])
    assert claims["iss"] == EMAIL
    assert outcome.seen[0].headers["authorization"] == outcome.headers["authorization"]
    broken = ask(VERTEX, credential=dynamic, credentials={"gcp": '{"private_key":"secret"}'})
    error = broken.failed()
    assert isinstance(error, GCPCredentials)
    assert "missing private_key_id" in str(error) and "secret" not in str(error)


def test_no_credential_at_all() -> None:
    error = ask(VERTEX, credential=NoCredential()).failed()
    assert str(error) == "API key missing for provider GCP Vertex Gemini: No credentials are set"


def test_the_fallback_of_a_pair(caplog: pytest.LogCaptureFixture) -> None:
    pair = FallbackCredential(DynamicCredential("gcp"), FileCredential(key_file()))
    outcome = ask(VERTEX, credential=pair, credentials={"gcp": "ya29.token"})
    assert outcome.headers["authorization"] == "Bearer ya29.token"
    assert "fallback" not in caplog.text
    outcome = ask(VERTEX, credential=pair, credentials={})
    read_jwt(outcome.headers["authorization"])
    assert "using the fallback credential: API key missing" in caplog.text
    neither = FallbackCredential(DynamicCredential("a"), DynamicCredential("b"))
    assert "Dynamic api key `b` is missing" in str(
        ask(VERTEX, credential=neither, credentials={}).failed()
    )


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_a_clock_that_is_wrong(streamed: bool) -> None:
    """The server says what time it is: the request is signed anew, by the server's clock."""
    ahead = formatdate(time.time() + 7200, usegmt=True)
    refused = answer(b"early", "401 Unauthorized", f"date: {ahead}")
    outcome = ask(
        VERTEX,
        request(stream=streamed),
        refused,
        STREAM if streamed else HELLO,
        credential=FileCredential(key_file()),
    )
    assert outcome.error is None
    first, second = (read_jwt(one.headers["authorization"])[1] for one in outcome.seen)
    assert abs(second["iat"] - first["iat"] - 7200) < 60
    assert outcome.seen[0].body == outcome.seen[1].body


def test_a_token_just_made_is_not_made_again() -> None:
    now = formatdate(time.time(), usegmt=True)
    for refused in (REFUSED, answer(b"no", "401 Unauthorized", f"date: {now}")):
        outcome = ask(VERTEX, None, refused, credential=FileCredential(key_file()))
        assert outcome.failed().status == 401
        assert len(outcome.seen) == 1


def test_an_old_token_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second refusal is the answer; the new token was refused as well."""
    monkeypatch.setattr("tensorzero.providers.gcp.tokens.PAUSE_S", 0.0)
    outcome = ask(VERTEX, None, REFUSED, credential=FileCredential(key_file()))
    error = outcome.failed()
    assert str(error) == "Error 401 Unauthorized from gcp_vertex_gemini client: no"
    assert len(outcome.seen) == 2
    assert PAUSE_S > 1


def test_extra_headers_hold_after_a_renewal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorzero.providers.gcp.tokens.PAUSE_S", 0.0)
    given = request(extra_headers=(ExtraHeader("x-extra", "1"),))
    outcome = ask(VERTEX, given, REFUSED, HELLO, credential=FileCredential(key_file()))
    outcome.answered()
    assert [one.headers["x-extra"] for one in outcome.seen] == ["1", "1"]
    # One that replaces the token is the caller's own affair.
    given = request(extra_headers=(ExtraHeader("authorization", "Bearer mine"),))
    outcome = ask(VERTEX, given, REFUSED, HELLO, credential=FileCredential(key_file()))
    assert outcome.failed().status == 401
    assert len(outcome.seen) == 1


# --- Google's own chain ---------------------------------------------------------------------------


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "adc.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("NO_PROXY", "*")
    return path


def table(context: ProviderContext, *configs: ProviderConfig) -> ModelTable:
    model = ModelConfig("m", configs)
    return ModelTable({"m": model}, ShorthandModels(CredentialReader({}, True, print)), context)


def vertex(credential: Any, name: str = "p") -> ProviderConfig:
    return ProviderConfig(name, VERTEX, VERTEX_OPTIONS, credential)


def test_the_chains_token_is_fetched_at_start_and_shared(chain: Path) -> None:
    token = {"access_token": "ya29.chain", "expires_in": 3600}
    tokens = ScriptedServer.saying(answer(token)).in_thread()
    chain.write_text(key_file(token_uri=tokens.url))

    async def run() -> None:
        async with ScriptedServer.saying(HELLO) as server:
            pool = Pool(user_agent=b"Test/1", trust_env=False)
            hosts = dict.fromkeys(HOSTS, server.url.removesuffix("/v1"))
            context = ProviderContext(pool, 20_000, False, hosts)
            pair = FallbackCredential(DynamicCredential("k"), SdkCredential())
            models = table(context, vertex(SdkCredential()), vertex(pair, "q"))
            await models.start()
            assert len(tokens.seen) == 1
            model = models.get("m")
            assert model is not None
            for route in model.routes:
                await route.provider.infer(request(), Attempt("m", "p", MODEL_INFERENCE_ID, {}))
            assert [one.headers["authorization"] for one in server.seen] == [
                "Bearer ya29.chain"
            ] * 2
            assert len(tokens.seen) == 1
            await pool.aclose()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_chain_that_leads_nowhere_fails_at_start(chain: Path) -> None:
    context = ProviderContext(Pool(user_agent=b"Test/1"), 20_000)
    models = table(context, vertex(SdkCredential()))
    with pytest.raises(GCPCredentials) as error:
        asyncio.run(models.start())
    assert str(error.value).startswith(
        "Error in acquiring GCP credentials: Failed to create GCP Vertex credentials from SDK: "
    )
    asyncio.run(table(context, vertex(FileCredential(key_file()))).start())


def test_a_chain_that_fails_later_leaves_it_to_the_fallback(
    chain: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = FallbackCredential(SdkCredential(), FileCredential(key_file()))
    outcome = ask(VERTEX, credential=pair)
    outcome.answered()
    read_jwt(outcome.headers["authorization"])
    assert "using the fallback credential: Error in acquiring GCP credentials" in caplog.text
    error = ask(VERTEX, credential=SdkCredential()).failed()
    assert isinstance(error, GCPCredentials) and error.status == 500


# --- hosts ----------------------------------------------------------------------------------------


def test_hosts_may_be_looked_for_elsewhere() -> None:
    value = "a.example=http://127.0.0.1:1, b.example=http://127.0.0.1:2"
    hosts = upstream_hosts({"TENSORZERO_UPSTREAM_HOSTS": value})
    assert hosts == {"a.example": "http://127.0.0.1:1", "b.example": "http://127.0.0.1:2"}
    assert upstream_hosts({}) == {}
    context = ProviderContext(Pool(user_agent=b"x"), 1, False, hosts)
    assert context.redirected("https://a.example/x?y=1") == "http://127.0.0.1:1/x?y=1"
    assert context.redirected("https://eu-b.example/x") == "http://127.0.0.1:2/x"
    for url in ("https://xa.example/x", "https://a.example:8443/x", "https://c.example/a.example"):
        assert context.redirected(url) == url


@pytest.mark.parametrize("location", ["us-central1", "global"])
def test_the_vendors_own_hosts(location: str) -> None:
    config = ProviderConfig("p", VERTEX, {**VERTEX_OPTIONS, "location": location}, NoCredential())
    provider = GCPVertexGeminiProvider(ProviderContext(Pool(user_agent=b"x"), 1), config)
    prefix = "" if location == "global" else "us-central1-"
    assert provider.url(stream=False).startswith(f"https://{prefix}aiplatform.googleapis.com/v1/")
