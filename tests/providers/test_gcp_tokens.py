"""Tokens of service accounts and of Google's own chain: made, kept, renewed, refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from providers.clock import Clock, run, settled
from providers.gcp_account import EMAIL, key_file, pem, read_jwt
from tensorzero.config.service_account import parse_service_account
from tensorzero.providers.gcp.sdk import SdkTokens
from tensorzero.providers.gcp.service_account import ServiceAccountTokens, sign_jwt
from tensorzero.providers.gcp.tokens import MARGIN_S, PAUSE_S, RENEW_BEFORE_S, Token, TokenCache
from tensorzero.providers.renewal import JUST_MADE_S
from tensorzero.types.errors import GCPCredentials
from upstream.scripted import ScriptedServer, answer

AUDIENCE = "https://us-central1-aiplatform.googleapis.com/"


class Source:
    """Numbered tokens."""

    def __init__(self, lifetime_s: float = 3600.0) -> None:
        self.lifetime_s = lifetime_s
        self.fetched = 0
        self.adjusts = False

    def fetch(self) -> Token:
        self.fetched += 1
        return Token((("authorization", f"Bearer {self.fetched}"),), time.time() + self.lifetime_s)

    def adjust(self, server_time: float) -> bool:
        return self.adjusts


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


# --- when a token is renewed (the rest: test_renewal.py) ------------------------------------------


def test_a_token_is_renewed_before_its_end(clock: Clock) -> None:
    async def test() -> None:
        source = Source()
        cache = TokenCache(source)
        first = await cache.get()
        clock.pass_by(3600 - RENEW_BEFORE_S - 1)
        assert await cache.get() is first
        assert source.fetched == 1
        clock.pass_by(2)
        assert await cache.get() is first
        await settled(cache)
        assert (await cache.get()).authorization == "Bearer 2"
        clock.pass_by(3600 - MARGIN_S + 1)
        assert cache.current() is None
        assert (await cache.get()).authorization == "Bearer 3"

    run(test())


@pytest.mark.parametrize("moved", ["the wall clock", "the monotonic clock"])
def test_either_clock_ends_a_token(clock: Clock, moved: str) -> None:
    """A machine that slept, a clock that was set: the other one knows."""

    async def test() -> None:
        cache = TokenCache(Source())
        await cache.get()
        if moved == "the wall clock":
            clock.wall += 4000
            clock.ticks += JUST_MADE_S
        else:
            clock.ticks += 4000
        assert (await cache.get()).authorization == "Bearer 2"

    run(test())


@pytest.mark.parametrize("lifetime_s", [-10.0, 0.0, 4.0, 30.0])
def test_a_short_lived_token_serves_whoever_waited_for_it(lifetime_s: float) -> None:
    async def test() -> None:
        cache = TokenCache(Source(lifetime_s))
        token = await cache.get()
        assert cache.current() is token

    run(test())


def test_a_refused_token_is_replaced_once_it_is_not_new(clock: Clock) -> None:
    async def test() -> None:
        source = Source()
        cache = TokenCache(source)
        first = (await cache.get()).authorization
        assert not cache.reject(first, None)  # just made: another would be no better
        assert not cache.reject("Bearer of another", None)
        clock.pass_by(PAUSE_S + 1)
        assert cache.reject(first, None)
        assert (await cache.get()).authorization == "Bearer 2"
        assert cache.reject(first, None)  # sent before, answered after the renewal
        source.adjusts = True
        assert cache.reject("Bearer 2", 0.0)
        assert (await cache.get()).authorization == "Bearer 3"

    run(test())


def test_a_token_is_never_shown() -> None:
    assert "secret" not in repr(Token((("authorization", "Bearer secret"),), 1.0))


# --- signing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_signed_token(form: PrivateFormat) -> None:
    account = parse_service_account(key_file(private_key=pem(form)), "GCP Vertex Gemini")
    header, claims = read_jwt(f"Bearer {sign_jwt(account, AUDIENCE, 1_700_000_000)}")
    assert header == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
    assert claims == {
        "iss": EMAIL,
        "sub": EMAIL,
        "aud": AUDIENCE,
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    }
    assert list(claims) == ["iss", "sub", "aud", "iat", "exp"]


def test_a_clock_that_is_wrong_is_corrected_by_the_servers() -> None:
    source = ServiceAccountTokens(parse_service_account(key_file(), "x"), AUDIENCE)
    now = time.time()
    assert not source.adjust(now + 20)
    assert source.adjust(now + 7200)
    assert not source.adjust(now + 7205)
    _, claims = read_jwt(source.fetch().authorization)
    assert abs(claims["iat"] - now - 7200) < 60
    # How long it is kept still goes by our own clock.
    assert abs(source.fetch().expires_at - now - 3600) < 60


def test_the_account_is_not_shown_with_its_key() -> None:
    account = parse_service_account(key_file(), "x")
    assert repr(account) == f"ServiceAccount({EMAIL})"


WRONG = [
    ("{nope", "the key file is not JSON"),
    ("[]", "GCP Vertex Gemini: missing private_key_id"),
    (key_file(private_key_id=None), "GCP Vertex Gemini: missing private_key_id"),
    (key_file(private_key=None), "GCP Vertex Gemini: missing private_key"),
    (key_file(client_email=None), "GCP Vertex Gemini: missing client_email"),
    (key_file(client_email=7), "GCP Vertex Gemini: missing client_email"),
    (key_file(private_key="MIIB"), "GCP Vertex Gemini: private_key failed to parse as RSA"),
]


@pytest.mark.parametrize(("content", "reason"), WRONG)
def test_a_key_file_that_is_none(content: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^Failed to load GCP credentials: ") as error:
        parse_service_account(content, "GCP Vertex Gemini")
    assert str(error.value) == f"Failed to load GCP credentials: {reason}"
    assert "MIIB" not in str(error.value)


# --- Google's own chain ---------------------------------------------------------------------------


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A chain that knows a file, which does not exist yet, and no metadata server."""
    path = tmp_path / "adc.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("NO_PROXY", "*")
    return path


def test_the_chain_asks_the_token_server(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = {"access_token": "ya29.first", "expires_in": 1800, "token_type": "Bearer"}
    server = ScriptedServer.saying(answer(token)).in_thread()
    chain.write_text(key_file(token_uri=server.url + "/token"))
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "payer")
    made = SdkTokens().fetch()
    assert made.headers == (
        ("authorization", "Bearer ya29.first"),
        ("x-goog-user-project", "payer"),
    )
    assert abs(made.expires_at - time.time() - 1800) < 60
    assert server.seen[0].line == "POST /v1/token HTTP/1.1"


def test_a_chain_that_leads_nowhere(chain: Path) -> None:
    tokens = SdkTokens()
    with pytest.raises(GCPCredentials, match="Failed to create GCP Vertex credentials from SDK: "):
        tokens.fetch()
    # A login that comes later is found.
    server = ScriptedServer.saying(answer({"error": "invalid_grant"}, "400 Bad Request"))
    chain.write_text(key_file(token_uri=server.in_thread().url))
    with pytest.raises(GCPCredentials, match="Failed to get GCP access token: ") as error:
        tokens.fetch()
    assert "invalid_grant" in str(error.value)
    good = ScriptedServer.saying(answer({"access_token": "ya29.later", "expires_in": 9}))
    chain.write_text(key_file(token_uri=good.in_thread().url))
    assert tokens.fetch().authorization == "Bearer ya29.later"
