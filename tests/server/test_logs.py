"""What is logged, where, and what never is."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.running import Gateway
from server.silent import body, silent
from tensorzero.server.logs import JsonFormatter, PrettyFormatter, parse_levels, place_of

SECRET = "sk-very-secret-0123456789"
PROMPT = "a prompt nobody else may read"


def lines(gateway: Gateway) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gateway.log().splitlines()]


def wait_for_line(gateway: Gateway, text: str) -> str:
    """The first log line with this text."""
    ends = time.monotonic() + 30
    while True:
        for line in gateway.log().splitlines():
            if text in line:
                return line
        assert time.monotonic() < ends, gateway.log()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    extra = '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "anthropic"\n'
    extra += 'model_name = "x"\nbeta_structured_outputs = true\n'
    env = {
        "ANTHROPIC_API_KEY": SECRET,
        "OPENAI_API_KEY": SECRET,
        "TENSORZERO_POSTGRES_URL": f"postgres://user:{SECRET}@h/db",
    }
    folder = tmp_path_factory.mktemp("logs")
    gateway = silent(folder, extra, workers=2, options=["--log-format", "json"], environment=env)
    yield gateway
    assert gateway.stop() == 0


def test_one_ready_line_and_each_warning_once(machine: Gateway) -> None:
    start = lines(machine)
    ready = [line for line in start if "listening on" in line["fields"]["message"]]
    assert len(ready) == 1
    assert ready[0]["level"] == "INFO"
    for part in ("127.0.0.1:", str(machine.config), "database not recording", "2 workers"):
        assert part in ready[0]["fields"]["message"]
    warnings = [line["fields"]["message"] for line in start if line["level"] == "WARN"]
    assert sum("TENSORZERO_POSTGRES_URL" in text for text in warnings) == 1
    assert sum("models.m.providers.p" in text for text in warnings) == 1


def test_a_refusal_is_logged_once_with_its_request(machine: Gateway) -> None:
    httpx.post(f"{machine.url}/inference", json={"function_name": "unknown-one"})
    wait_for_line(machine, "input")
    httpx.get(f"{machine.url}/a-path-without-route")
    wait_for_line(machine, "a-path-without-route")
    found = [line for line in lines(machine) if "a-path-without-route" in json.dumps(line)]
    assert len(found) == 1
    line = found[0]
    assert (line["level"], line["target"].partition(".")[0]) == ("WARN", "tensorzero")
    span = line["span"]
    assert (span["name"], span["method"], span["uri"]) == (
        "request",
        "GET",
        "/a-path-without-route",
    )
    assert len(span["request_id"]) == 36
    assert line["spans"] == [span]


def test_health_checks_are_silent(machine: Gateway) -> None:
    before = machine.log()
    for path in ("/health", "/status"):
        assert httpx.get(machine.url + path).status_code == 200
    assert machine.log() == before


def test_no_key_and_no_prompt(machine: Gateway) -> None:
    messages = {"messages": [{"role": "user", "content": PROMPT}]}
    for request in (
        body("dummy::error"),
        {"model_name": "m", "input": messages},
        {"model_name": "dummy::error?message=oops", "input": messages, "stream": True},
        {"model_name": "dummy::text", "input": messages, "tags": {"tensorzero::x": PROMPT}},
        {"model_name": "dummy::text", "input": {**messages, "nope": PROMPT}},
        {"model_name": "dummy::text", "input": messages, "credentials": {"k": SECRET}},
    ):
        answer = httpx.post(f"{machine.url}/inference", json=request, timeout=30)
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text
    text = machine.log()
    assert SECRET not in text
    assert "Traceback" not in text
    assert PROMPT not in text


def test_requests_at_debug(tmp_path: Path) -> None:
    gateway = silent(tmp_path, environment={"RUST_LOG": "tensorzero_core=debug,warn"})
    # The ready line is there: `tensorzero_core` is how others name what is ours.
    headers = {"x-amzn-trace-id": "Root=1-2-3"}
    httpx.post(f"{gateway.url}/inference", json=body(), headers=headers)
    line = wait_for_line(gateway, "finished processing request")
    assert "status=200" in line
    assert "latency_ms=" in line
    wait_for_line(gateway, "started processing request")
    assert gateway.stop() == 0


def test_a_client_that_leaves_is_noted(machine: Gateway) -> None:
    with httpx.stream(
        "POST",
        f"{machine.url}/inference",
        json=body("dummy::text?chunks=4&interval_ms=200", stream=True),
    ) as answer:
        next(answer.iter_raw())
    wait_for_line(machine, "Client closed the connection before the response was sent")


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("tensorzero.x", logging.ERROR, "f", 1, message, None, info)


def failure() -> Exception:
    try:
        raise ValueError(PROMPT)
    except ValueError as error:
        return error


def test_traces_only_where_asked_for() -> None:
    error = failure()
    for formatter in (PrettyFormatter, JsonFormatter):
        plain = formatter(traces=False).format(record("it failed", error))
        assert "ValueError at" in plain
        assert PROMPT not in plain
        assert "Traceback" in formatter(traces=True).format(record("it failed", error))
    assert place_of(error).startswith("ValueError at test_logs.py:")


def test_one_record_is_one_line() -> None:
    text = "line\n2026-01-01T00:00:00.000Z ERROR forged\x1b[2J"
    assert "\n" not in PrettyFormatter(traces=False).format(record(text))
    assert "\x1b" not in PrettyFormatter(traces=False).format(record(text))
    parsed = json.loads(JsonFormatter(traces=False).format(record(text)))
    assert parsed["fields"]["message"] == text


@pytest.mark.parametrize(
    ("text", "everything", "named", "unknown"),
    [
        ("", None, {}, []),
        ("debug", 10, {}, []),
        ("WARN", 30, {}, []),
        ("gateway=trace,error", 40, {"tensorzero": 10, "tzcore": 10}, []),
        ("httpx=info", None, {"httpx": 20}, []),
        ("loud,info", 20, {}, ["loud"]),
    ],
)
def test_levels(
    text: str, everything: int | None, named: dict[str, int], unknown: list[str]
) -> None:
    assert parse_levels(text) == (everything, named, unknown)
