"""Keys from the SDK's default chain: found, renewed beside the requests, and missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from providers.aws_calls import converse
from providers.calls import request
from providers.test_bedrock_requests import ANSWER
from tensorzero.providers import renewal
from tensorzero.providers.aws import credentials as chain_module
from tensorzero.providers.aws.credentials import CredentialChain
from tensorzero.providers.aws.signature import Keys
from tensorzero.types.errors import ConfigError
from upstream.scripted import Script, ScriptedServer, Seen, answer

VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keys from where the tests run; a new look after 10 ms instead of 10 s."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(chain_module, "CHECK_S", 0.01)
    monkeypatch.setattr(renewal, "FAILED_S", 0.2)
    monkeypatch.setattr(renewal, "JUST_MADE_S", 0.0)


def run(work: Callable[[CredentialChain], Awaitable[None]]) -> None:
    async def main() -> None:
        chain = CredentialChain()
        chain.prepare()
        await work(chain)

    asyncio.run(asyncio.wait_for(main(), 60))


async def first_keys(chain: CredentialChain) -> Keys:
    assert chain.keys() is None
    await chain.wait(ConfigError)
    keys = chain.keys()
    assert keys is not None
    return keys


async def until(chain: CredentialChain, key_id: str) -> Keys:
    """Ask as requests do until the keys are these; none of the requests has to wait."""
    while True:
        keys = chain.keys()
        assert keys is not None
        if keys.access_key_id == key_id:
            return keys
        await asyncio.sleep(0.005)


def found(**expected: Any) -> None:
    async def work(chain: CredentialChain) -> None:
        keys = await first_keys(chain)
        assert keys == Keys(**expected)

    run(work)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    found(access_key_id="AKIDENV", secret_access_key="s", session_token=None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    found(access_key_id="AKIDENV", secret_access_key="s", session_token="t")


def test_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id=AKIDDEFAULT\naws_secret_access_key=d\n"
        "[work]\naws_access_key_id=AKIDWORK\naws_secret_access_key=w\naws_session_token=t\n"
    )
    found(access_key_id="AKIDDEFAULT", secret_access_key="d", session_token=None)
    monkeypatch.setenv("AWS_PROFILE", "work")
    found(access_key_id="AKIDWORK", secret_access_key="w", session_token="t")


def test_a_file_that_is_written_anew(tmp_path: Path) -> None:
    async def work(chain: CredentialChain) -> None:
        assert (await first_keys(chain)).access_key_id == "AKIDOLD"
        write("AKIDNEW")
        assert (await until(chain, "AKIDNEW")).secret_access_key == "s"

    def write(key_id: str) -> None:
        text = f"[default]\naws_access_key_id={key_id}\naws_secret_access_key=s\n"
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(tmp_path / "credentials")

    write("AKIDOLD")
    run(work)


def container(key_id: str, lasts: timedelta) -> Script:
    """What the container endpoint and the instance's metadata answer."""
    return answer(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": key_id,
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )


def serve(monkeypatch: pytest.MonkeyPatch, script: Callable[[Seen], Script]) -> ScriptedServer:
    server = ScriptedServer(script).in_thread()
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/keys")
    return server


SOON = timedelta(minutes=12)
"""Near enough to its end that the library renews it."""
LATER = timedelta(hours=6)


def test_a_container_and_the_renewal_of_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old keys serve while the server takes its time over the new ones."""
    may_answer = Event()

    def script(seen: Seen) -> Script:
        if len(server.seen) <= 2:  # found, and renewed at once
            return container("AKIDFIRST", SOON)
        # In the server's own thread.
        may_answer.wait(30)
        return container("AKIDSECOND", LATER)

    async def work(chain: CredentialChain) -> None:
        assert await first_keys(chain) == Keys("AKIDFIRST", "s", "t")
        while len(server.seen) < 3:
            assert chain.keys() == Keys("AKIDFIRST", "s", "t")
            await asyncio.sleep(0.005)
        for _ in range(20):
            assert chain.keys() == Keys("AKIDFIRST", "s", "t")
            await asyncio.sleep(0.005)
        may_answer.set()
        await until(chain, "AKIDSECOND")
        # Keys that last are not fetched again.
        asked = len(server.seen)
        for _ in range(20):
            await until(chain, "AKIDSECOND")
            await asyncio.sleep(0.005)
        assert len(server.seen) == asked

    server = serve(monkeypatch, script)
    run(work)


def test_one_question_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    may_answer = Event()

    def script(_: Seen) -> Script:
        may_answer.wait(30)
        return container("AKIDONE", LATER)

    async def work(chain: CredentialChain) -> None:
        async def tick() -> None:
            # The loop goes on while the thread waits.
            for _ in range(20):
                assert chain.keys() is None
                await asyncio.sleep(0.001)
            may_answer.set()

        await asyncio.gather(tick(), *(chain.wait(ConfigError) for _ in range(50)))

    server = serve(monkeypatch, script)

    run(work)
    assert len(server.seen) == 1


class Process:
    """``credential_process``: a command that prints keys, as logins of companies do."""

    def __init__(self, tmp_path: Path) -> None:
        self.output = tmp_path / "output"
        (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {self.output}\n")

    def prints(self, key_id: str, lasts: timedelta) -> None:
        keys = {"Version": 1, "AccessKeyId": key_id, "SecretAccessKey": "s", "SessionToken": "t"}
        ends = (datetime.now(UTC) + lasts).isoformat()
        self.output.with_suffix(".new").write_bytes(orjson.dumps({**keys, "Expiration": ends}))
        self.output.with_suffix(".new").rename(self.output)

    def fails(self) -> None:
        self.output.unlink()


def test_keys_that_end_are_not_used(tmp_path: Path) -> None:
    """Not within the last minute: the server's clock may be ahead of ours."""
    process = Process(tmp_path)

    async def work(chain: CredentialChain) -> None:
        assert (await first_keys(chain)).access_key_id == "AKIDFIRST"
        process.prints("AKIDENDING", timedelta(seconds=30))
        while chain.keys() is not None:  # noqa: ASYNC110 - requests ask, nothing tells them
            await asyncio.sleep(0.005)
        process.prints("AKIDNEXT", LATER)
        assert (await first_keys(chain)).access_key_id == "AKIDNEXT"

    process.prints("AKIDFIRST", SOON)
    run(work)


def test_a_failing_renewal_keeps_valid_keys(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(tmp_path)

    async def work(chain: CredentialChain) -> None:
        await first_keys(chain)
        process.fails()
        while "a key of the AWS chain cannot be renewed now" not in caplog.text:
            assert chain.keys() == Keys("AKIDFIRST", "s", "t")
            await asyncio.sleep(0.005)
        assert chain.keys() == Keys("AKIDFIRST", "s", "t")
        process.prints("AKIDSECOND", LATER)
        await until(chain, "AKIDSECOND")

    process.prints("AKIDFIRST", timedelta(minutes=5))
    run(work)


def test_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 of the metadata: a token first, then the role, then its keys."""

    def script(seen: Seen) -> Script:
        method, path, _ = seen.line.split()
        if method == "PUT":
            assert path == "/latest/api/token"
            return answer(b"a-metadata-token", "200 OK", "content-type: text/plain")
        assert seen.headers["x-aws-ec2-metadata-token"] == "a-metadata-token"
        if path.endswith("/security-credentials/"):
            return answer(b"my-role", "200 OK", "content-type: text/plain")
        assert path.endswith("/security-credentials/my-role")
        return container("AKIDROLE", LATER)

    server = ScriptedServer(script).in_thread()
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url.removesuffix("/v1"))
    found(access_key_id="AKIDROLE", secret_access_key="s", session_token="t")


STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>AKIDWEB</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>{}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def test_web_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on Kubernetes: a token in a file, exchanged at STS."""
    ends = (datetime.now(UTC) + LATER).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = answer(STS.format(ends).encode(), "200 OK", "content-type: text/xml")
    server = ScriptedServer(lambda _: said).in_thread()
    (tmp_path / "token").write_text("a.web.token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/gateway")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found(access_key_id="AKIDWEB", secret_access_key="s", session_token="t")
    form = parse_qs(server.seen[0].body.decode())
    assert form["Action"] == ["AssumeRoleWithWebIdentity"]
    assert form["WebIdentityToken"] == ["a.web.token"]


def test_a_look_before_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, lambda _: container("AKIDONE", LATER))

    async def work(chain: CredentialChain) -> None:
        chain.look()
        chain.look()
        assert chain.keys() is chain.latest is None
        while chain.keys() is None:  # noqa: ASYNC110 - requests ask, nothing tells them
            await asyncio.sleep(0.005)
        chain.look()
        assert chain.keys() == chain.latest

    run(work)
    assert len(server.seen) == 1


# --- in calls -----------------------------------------------------------------------------------


def test_calls_wait_for_the_keys_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, lambda _: container("AKIDCHAIN", LATER))
    outcome = converse(request(), ANSWER, keys={}, times=3)
    assert outcome.failures == [False] * 3
    for seen in outcome.seen:
        assert "Credential=AKIDCHAIN/" in seen.headers["authorization"]
        assert seen.headers["x-amz-security-token"] == "t"
    assert len(server.seen) == 1


@pytest.mark.parametrize("streams", [False, True])
def test_calls_without_keys(monkeypatch: pytest.MonkeyPatch, streams: bool) -> None:
    outcome = converse(request(stream=streams), ANSWER, keys={})
    error = outcome.failed()
    assert (error.kind, error.status) == ("InferenceClient", 500)
    assert str(error).startswith(
        "Error from aws_bedrock client: Failed to get AWS credentials: the environment, "
    )
    assert outcome.seen == []


def test_keys_that_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure stands for a moment, not for good."""

    async def work(chain: CredentialChain) -> None:
        for _ in range(2):
            with pytest.raises(ConfigError, match="Failed to get AWS credentials: "):
                await chain.wait(ConfigError)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDNOW")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        while chain.keys() is None:
            try:
                await chain.wait(ConfigError)
            except ConfigError:
                await asyncio.sleep(0.02)

    run(work)
