"""The data directory: what a graceful stop leaves in it, and who may have it."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from cli.command import tensorzero
from gateway.running import Gateway
from server.silent import body


def test_a_stop_in_mid_stream_leaves_the_whole_row(tmp_path: Path) -> None:
    gateway = Gateway(None, tmp_path / "data")
    assert gateway.process is not None
    request = body("dummy::text?text=one two three four&chunks=4&interval_ms=300", stream=True)
    with httpx.stream("POST", f"{gateway.url}/inference", json=request, timeout=60) as answer:
        pieces = answer.iter_text()
        text = next(pieces)
        gateway.process.send_signal(signal.SIGTERM)
        text += "".join(pieces)
    assert text.endswith("data: [DONE]\n\n")
    assert gateway.process.wait(60) == 0
    rows = gateway.query("SELECT output LIKE '%one two three four%' FROM ChatInference")
    assert rows == [["1"]]


def test_a_second_gateway_says_who_has_the_data_directory(tmp_path: Path) -> None:
    gateway = Gateway(None, tmp_path / "data")
    assert gateway.process is not None
    arguments = (
        "--default-config",
        "--bind-address",
        "127.0.0.1:0",
        "--data-dir",
        tmp_path / "data",
    )
    second = tensorzero("gateway", *arguments)
    assert second.returncode == 1
    assert f"is in use by process {gateway.process.pid}" in second.stderr
    # What only validates asks the running one.
    validated = tensorzero("gateway", *arguments, "--validate-and-exit")
    assert validated.returncode == 0, validated.stderr
    assert "open in a running gateway" in validated.stdout
    assert gateway.stop() == 0
