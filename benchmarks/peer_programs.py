"""The peers: how each is installed, configured and started. All as their documentation says."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import Mock, children, end, free_port

FOLDER = Path(__file__).resolve().parent / ".peers"
INSTALL_S = 900
START_S = 90
KEY = "sk-benchmark-only-4711"

PIP = {
    # The last release whose Python package is known to start a gateway in the process.
    "tensorzero": ("tensorzero==2026.6.0", "openai"),
    "litellm": ("litellm[proxy]==1.108.7",),
}
NPM = {"portkey": "@portkey-ai/gateway@1.15.2"}

TENSORZERO_CONFIG = """
[gateway.observability]
enabled = false
[functions.bench]
type = "chat"
[functions.bench.variants.plain]
type = "chat_completion"
model = "mock"
[models.mock]
routing = ["mock"]
[models.mock.providers.mock]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "http://127.0.0.1:{mock}/v1/"
api_key_location = "none"
"""
LITELLM_CONFIG = """
model_list:
  - model_name: bench
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:{mock}/v1
      api_key: none
"""


class PeerMissing(Exception):
    """A peer cannot be had on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """``command`` takes the peer's folder, its config file and the port it shall listen on."""

    name: str
    model: str
    config: str
    command: Callable[[Path, Path, int], list[str]]
    environment: dict[str, str]
    headers: Callable[[Mock], tuple[str, ...]]


def _tensorzero(folder: Path, config: Path, _port: int) -> list[str]:
    host = Path(__file__).resolve().parent / "host_tensorzero.py"
    return [str(folder / "bin" / "python"), "-W", "ignore", str(host), str(config)]


def _litellm(folder: Path, config: Path, port: int) -> list[str]:
    program = str(folder / "bin" / "litellm")
    return [
        *(program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)),
        *("--num_workers", "1", "--telemetry", "False"),
    ]


def _portkey(folder: Path, _config: Path, port: int) -> list[str]:
    program = folder / "node_modules" / ".bin" / "gateway"
    return [str(program), f"--port={port}", "--headless"]


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "tensorzero",
            "tensorzero::function_name::bench",
            TENSORZERO_CONFIG,
            _tensorzero,
            {},
            lambda mock: (),
        ),
        Peer(
            "portkey",
            "gpt-4o-mini",
            "",
            _portkey,
            {"NODE_ENV": "production"},
            lambda mock: (
                "x-portkey-provider: openai",
                f"x-portkey-custom-host: http://127.0.0.1:{mock.port}/v1",
                "authorization: Bearer none",
            ),
        ),
        Peer(
            "litellm",
            "bench",
            LITELLM_CONFIG,
            _litellm,
            {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            lambda mock: (f"authorization: Bearer {KEY}",),
        ),
    )
}


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except FileNotFoundError as error:
        raise PeerMissing(f"`{command[0]}` is not there: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise PeerMissing(f"`{' '.join(command[:3])} …` took over {INSTALL_S} s") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise PeerMissing(f"`{' '.join(command[:3])} …` failed: {''.join(last)}")


def install(peer: Peer) -> None:
    """Install a peer unless the same version is there; raises ``PeerMissing``."""
    folder = FOLDER / peer.name
    wanted = " ".join(PIP[peer.name]) if peer.name in PIP else NPM[peer.name]
    mark = folder / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if peer.name in PIP:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = str(folder / "bin" / "pip")
        _run([pip, "install", "--quiet", "--disable-pip-version-check", *PIP[peer.name]])
    else:
        _run(
            [
                *("npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund"),
                *("--silent", NPM[peer.name]),
            ]
        )
    mark.write_text(wanted)


@dataclass(frozen=True, slots=True)
class RunningPeer:
    url: str
    version: str
    headers: tuple[str, ...]
    process: subprocess.Popen[bytes]

    def pids(self) -> list[int]:
        return [self.process.pid, *children(self.process.pid)]


@contextmanager
def start(peer: Peer, mock: Mock, folder: Path) -> Iterator[RunningPeer]:
    """Run a peer until the block ends; raises ``PeerMissing`` when it gives no good answer."""
    config = folder / f"{peer.name}.config"
    config.write_text(peer.config.format(mock=mock.port))
    log = folder / f"{peer.name}.log"
    port = free_port()
    with open(log, "wb") as out:
        try:
            process = subprocess.Popen(
                peer.command(FOLDER / peer.name, config, port),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                cwd=folder,
                env={**os.environ, **peer.environment, "PYTHONPATH": ""},
                process_group=0,
            )
        except FileNotFoundError as error:
            raise PeerMissing(f"it does not start: {error}") from None
    try:
        url = _await_answer(peer, mock, process, log, port)
        wanted = PIP[peer.name][0] if peer.name in PIP else NPM[peer.name]
        version = wanted.replace("==", "@").rsplit("@", 1)[1]
        yield RunningPeer(url, version, peer.headers(mock), process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        end(process, wait_s=10)


def _await_answer(
    peer: Peer, mock: Mock, process: subprocess.Popen[bytes], log: Path, port: int
) -> str:
    """Until it answers a request with 200; returns the URL."""
    ends = time.monotonic() + START_S
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    body = f'{{"model":"{peer.model}","messages":[{{"role":"user","content":"hi"}}]}}'
    headers = {"content-type": "application/json"}
    headers.update(dict(line.split(": ", 1) for line in peer.headers(mock)))
    status: object = "no answer"
    while time.monotonic() < ends and process.poll() is None:
        said = [line for line in log.read_text().splitlines() if line.startswith("listening on ")]
        if said:
            url = said[0].removeprefix("listening on ") + "chat/completions"
        host, path = url.removeprefix("http://").split("/", 1)
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("POST", f"/{path}", body, headers)
            status = connection.getresponse().status
        except OSError as error:
            status = error
        finally:
            connection.close()
        if status == 200:
            return url
        time.sleep(0.2)
    tail = " | ".join(log.read_text(errors="replace").splitlines()[-3:])
    raise PeerMissing(f"it does not answer ({status}): {tail}")
