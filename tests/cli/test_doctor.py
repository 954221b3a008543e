"""``tensorzero doctor``: what it asks, what it shows, how it ends."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import orjson
import pytest

from cli.command import COMMAND
from gateway.running import clean_environment
from providers.calls import COMPLETION
from providers.gcp_account import key_file, read_jwt
from providers.gemini import HOSTS, says
from tensorzero.cli.main import main
from upstream.scripted import Script, ScriptedServer, answer

SECRET = "not-a-key-of-anybody"
HELLO = answer(COMPLETION)
VECTOR = answer({"data": [{"index": 0, "embedding": [0.5, 0.25]}], "usage": {"prompt_tokens": 1}})


def serving(*scripts: Script) -> ScriptedServer:
    return ScriptedServer.saying(*scripts).in_thread()


def config(folder: Path, text: str) -> Path:
    path = folder / "tensorzero.toml"
    path.write_text(text)
    return path


def openai(name: str, url: str, key: str = "env::KEY", kind: str = "models") -> str:
    return (
        f"[{kind}.{name}]\nrouting = ['p']\n[{kind}.{name}.providers.p]\ntype = 'openai'\n"
        f"model_name = 'gpt-x'\napi_base = '{url}'\napi_key_location = '{key}'\n"
    )


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name.startswith(("TENSORZERO_", "GCP_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KEY", SECRET)
    monkeypatch.setenv("NO_PROXY", "*")


def doctor(*arguments: str | Path) -> int:
    return main(["doctor", *map(str, arguments)])


def rows(output: str) -> list[list[str]]:
    """The cells of each line below the header; columns stand at least two spaces apart."""
    header, *lines = output.splitlines()
    assert header.split() == ["model", "provider", "type", "credential", "latency", "result"]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_all_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server, vectors = serving(HELLO), serving(VECTOR)
    path = config(
        tmp_path, openai("a", server.url) + openai("e", vectors.url, kind="embedding_models")
    )
    assert doctor("--config-file", path, "--yes") == 0
    chat, embedding = rows(capsys.readouterr().out)
    assert chat[:4] == ["a", "p", "openai", "key"]
    assert chat[4].endswith(" ms") and chat[5] == "ok"
    assert embedding[:1] + embedding[5:] == ["e", "ok"]
    (seen,) = server.seen
    assert seen.headers["authorization"] == f"Bearer {SECRET}"
    assert orjson.loads(seen.body) == {
        "messages": [{"role": "user", "content": "Reply with the word OK."}],
        "model": "gpt-x",
        "max_completion_tokens": 256,
        "stream": False,
    }
    assert vectors.seen[0].line == "POST /v1/embeddings HTTP/1.1"


def test_what_is_wrong_is_said_without_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = f'{{"error":\n "no such key: {SECRET}\x1b[2J"}}'.encode()
    refusing = serving(answer(echo, "401 Unauthorized"))
    long, good = serving(answer(b"x" * 9999, "500 X")), serving(HELLO)
    text = (
        openai("bad", refusing.url)
        + openai("closed", "http://127.0.0.1:1/v1")
        + openai("good", good.url)
        + openai("long", long.url)
        + openai("unset", good.url, "env::UNSET")
        + openai("brought", good.url, "dynamic::k")
    )
    assert doctor("--config-file", config(tmp_path, text), "--yes") == 1
    output = capsys.readouterr()
    assert SECRET not in output.out + output.err
    found = {row[0]: row for row in rows(output.out)}
    assert list(found) == ["bad", "closed", "good", "long", "unset", "brought"]
    assert found["bad"][5] == (
        'wrong: Error 401 Unauthorized from openai client: {"error": "no such key: [redacted] [2J"}'
    )
    assert found["closed"][5].startswith("wrong: Error from openai client: Error sending request")
    assert found["good"][5] == "ok"
    assert len(found["long"][5]) < 500
    assert found["unset"][3:5] == ["-", "-"]
    assert "Environment variable `UNSET` is missing" in found["unset"][5]
    assert found["brought"][3:] == ["the request's", "-", "not asked: `k` comes with each request"]
    assert len(good.seen) == 1


def test_one_model_of_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = serving(HELLO), serving(HELLO)
    text = openai("one", one.url) + openai("other", other.url, "env::UNSET")
    path = config(tmp_path, text)
    assert doctor("--config-file", path, "--model", "one", "--yes") == 0
    assert [row[0] for row in rows(capsys.readouterr().out)] == ["one"]
    assert (len(one.seen), len(other.seen)) == (1, 0)
    assert doctor("--config-file", path, "--model", "other", "--yes") == 1
    assert doctor("--config-file", path, "--model", "dummy::text", "--yes") == 0


def test_shorthands_that_variants_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variant = "type = 'chat_completion'\nmodel = "
    text = (
        "[functions.f]\ntype = 'chat'\n"
        f"[functions.f.variants.a]\n{variant}'dummy::text'\n"
        f"[functions.f.variants.b]\n{variant}'dummy::text'\n"
        f"[functions.f.variants.c]\n{variant}'groq::x'\n"
    )
    assert doctor("--config-file", config(tmp_path, text), "--yes") == 1
    dummy, groq = rows(capsys.readouterr().out)
    assert dummy[:3] + dummy[5:] == ["dummy::text", "dummy", "dummy", "ok"]
    assert groq[0] == "groq::x"
    assert "Environment variable `GROQ_API_KEY` is missing" in groq[5]


def test_a_shorthand_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serving(answer(says("OK")))
    origin = server.url.removesuffix("/v1")
    monkeypatch.setenv("TENSORZERO_UPSTREAM_HOSTS", ",".join(f"{h}={origin}" for h in HOSTS))
    (tmp_path / "gcp.json").write_text(key_file())
    monkeypatch.setenv("GCP_VERTEX_CREDENTIALS_PATH", str(tmp_path / "gcp.json"))
    model = "gcp_vertex_gemini::projects/p/locations/us-east1/publishers/google/models/g"
    assert doctor("--model", model, "--yes") == 0
    ((name, _, _, credential, _, result),) = rows(capsys.readouterr().out)
    assert (name, credential, result) == (model, "key file", "ok")
    _, claims = read_jwt(server.seen[0].headers["authorization"])
    assert claims["aud"] == "https://us-east1-aiplatform.googleapis.com/"
    assert doctor("--model", "openai::x", "--yes") == 1
    assert "`OPENAI_API_KEY` is missing" in capsys.readouterr().out


def test_what_cannot_be_examined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--model", "nope", "--yes") == 1
    assert "`nope` is no model of the configuration and no shorthand" in capsys.readouterr().err
    assert doctor("--config-file", config(tmp_path, ""), "--yes") == 1
    assert "there is no model" in capsys.readouterr().err
    path = config(tmp_path, openai("a", "http://127.0.0.1:1", "env::UNSET") + "[nope]\n")
    assert doctor("--config-file", path, "--yes") == 1
    output = capsys.readouterr()
    assert "nope" in output.err and output.out == ""
    with pytest.raises(SystemExit) as ended:
        doctor("--yes")
    assert ended.value.code == 2


@pytest.mark.parametrize(("said", "status"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1), (None, 2)])
def test_it_asks_before_it_sends(tmp_path: Path, said: bytes | None, status: int) -> None:
    server = serving(HELLO)
    command = [*COMMAND, "doctor", "--config-file", str(config(tmp_path, openai("a", server.url)))]
    terminal, its_side = pty.openpty()
    try:
        if said is not None:
            os.write(terminal, said)
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL if said is None else its_side,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**clean_environment(), "KEY": SECRET, "NO_PROXY": "*"},
        )
    finally:
        os.close(terminal)
        os.close(its_side)
    assert done.returncode == status
    assert len(server.seen) == (1 if status == 0 else 0)
    if said is None:
        assert "`--yes` sends one request to each of 1 provider(s)" in done.stderr
    else:
        assert "Send one request of a few tokens to each of 1 provider(s)? [y/N]" in done.stderr
