"""Misbehaving servers, as every HTTP provider meets them; keys stay out of every text."""

from __future__ import annotations

import gzip
import logging
import socket
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.calls import COMPLETION, call, request
from tensorzero.config.credentials import DynamicCredential, StaticCredential
from tensorzero.types.content import Text
from tensorzero.types.errors import GatewayError
from tensorzero.types.model import ProviderChunk
from upstream.scripted import CLOSE, DONE, HANG, RESET, Script, answer, event, stream

SECRET = "sk-live-0123456789abcdef"
CHUNK = event({"choices": [{"delta": {"content": "a"}}]})


@pytest.fixture(params=[False, True], ids=["complete", "stream"])
def streams(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_connection_refused(streams: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets the port
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        error = call(request(stream=streams), options={"api_base": base}).failed()
    assert error.kind == ("FatalStreamError" if streams else "InferenceClient")
    assert "Error sending request: could not connect to" in str(error)
    assert "Connection refused" in str(error)
    assert error.raw_responses() == []


def test_a_name_that_does_not_resolve(streams: bool) -> None:
    options = {"api_base": "http://no-such-host.invalid/v1"}
    error = call(request(stream=streams), options=options).failed()
    assert "no-such-host.invalid" in str(error)
    assert "could not be resolved" in str(error)


def test_no_tls_where_it_is_expected(streams: bool) -> None:
    """A server that takes the connection and says nothing to the handshake."""
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()
        plain.settimeout(10)
        base = f"https://127.0.0.1:{plain.getsockname()[1]}/v1"
        error = call(
            request(stream=streams), options={"api_base": base}, global_timeout_ms=300
        ).failed()
    assert "gateway.global_outbound_http_timeout_ms" in str(error)


PARTIAL = b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"choices":'
BROKEN: dict[str, Script] = {
    "reset": [RESET],
    "within the head": [b"HTTP/1.1 200 OK\r\ncont", CLOSE],
    "not HTTP": [b"SSH-2.0-OpenSSH\r\n\r\n", CLOSE],
    "bad length": [b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", CLOSE],
    "within the body": [PARTIAL, CLOSE],
    "body reset": [PARTIAL, 0.02, RESET],
    "bad gzip": answer(b"not gzip", "200 OK", "content-encoding: gzip"),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
def test_broken_answers(script: Script, streams: bool) -> None:
    error = call(request(stream=streams), script).failed()
    assert error.kind in ("InferenceClient", "InferenceServer", "FatalStreamError")
    assert error.status == 500
    assert "openai" in str(error)


def test_a_body_cut_in_the_middle_is_the_servers_fault_and_shown() -> None:
    error = call(request(), [PARTIAL, 0.02, CLOSE]).failed()
    assert error.kind == "InferenceServer"
    assert "closed the connection within the body" in str(error)
    assert [raw.data for raw in error.raw_responses()] == ['{"choices":']


def test_a_body_beyond_the_limit() -> None:
    error = call(request(), answer(b"x" * 5000), max_body_bytes=4000).failed()
    assert error.kind == "InferenceServer"
    assert "larger than 4000 bytes" in str(error)
    bomb = gzip.compress(b"x" * 5000)
    script = answer(bomb, "200 OK", "content-encoding: gzip")
    assert "larger than 4000 bytes" in str(call(request(), script, max_body_bytes=4000).failed())


def test_a_compressed_answer_is_read() -> None:
    script = answer(gzip.compress(orjson.dumps(COMPLETION)), "200 OK", "content-encoding: gzip")
    assert call(request(), script).answered().output == [Text("Hello!")]


SLOW: dict[str, Script] = {
    "no answer": [HANG],
    "head": [b"HTTP/1.1 200 OK\r\n", HANG],
    "body": [PARTIAL, HANG],
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_the_global_timeout_names_its_setting(script: Script, streams: bool) -> None:
    outcome = call(request(stream=streams), script, global_timeout_ms=200)
    error = outcome.failed()
    assert "gateway.global_outbound_http_timeout_ms" in str(error)
    assert "200ms" in str(error)
    if not streams:
        assert error.kind == "InferenceClient"
        assert "status" not in str(error).lower()


def test_the_global_timeout_ends_a_running_stream() -> None:
    outcome = call(request(stream=True), stream(CHUNK, end=[HANG]), global_timeout_ms=300)
    first, error = outcome.items
    assert first.content[0].text == "a"
    assert error.kind == "FatalStreamError"
    assert "gateway.global_outbound_http_timeout_ms" in str(error)


def test_redirects_are_followed() -> None:
    moved = answer(b"", "307 Temporary Redirect", "location: /v2/chat/completions")
    outcome = call(request(), moved, answer(COMPLETION))
    outcome.answered()
    assert [one.line for one in outcome.seen] == [
        "POST /v1/chat/completions HTTP/1.1",
        "POST /v2/chat/completions HTTP/1.1",
    ]
    assert outcome.seen[0].body == outcome.seen[1].body


def test_redirects_without_end(streams: bool) -> None:
    moved = answer(b"", "308 Permanent Redirect", "location: /v1/chat/completions")
    outcome = call(request(stream=streams), moved)
    assert "redirected more than 10 times" in str(outcome.failed())
    assert len(outcome.seen) == 11


def test_a_kept_alive_connection_is_used_again_and_a_closed_one_replaced() -> None:
    outcome = call(request(), answer(COMPLETION), times=3)
    assert outcome.connections == 1
    closing = [*answer(COMPLETION), CLOSE]
    outcome = call(request(), closing, times=3)
    outcome.answered()
    assert len(outcome.seen) == 3


@pytest.mark.parametrize("pause", [[], [0.05], [b"5\r\n: bye\r\n", 0.05]])
def test_a_finished_stream_leaves_its_connection_usable(pause: Script) -> None:
    """Also where the end of the body comes a while after the last event: nobody waits for it."""
    end = [*pause, b"0\r\n\r\n"]
    outcome = call(request(stream=True), stream(CHUNK, DONE, end=end), times=3, rest_s=0.1)
    assert len(outcome.items) == 1
    assert outcome.connections == 1


def test_a_stream_that_goes_on_after_its_last_event_is_left() -> None:
    outcome = call(request(stream=True), stream(CHUNK, DONE, end=[HANG]), times=2)
    assert len(outcome.items) == 1
    assert outcome.connections == 2


VALID = answer(COMPLETION)[0]
VALID_STREAM = b"".join(part for part in stream(CHUNK, CHUNK, DONE) if isinstance(part, bytes))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans())
def test_no_bytes_of_a_server_are_more_than_an_error(data: st.DataObject, streams: bool) -> None:
    """An answer with bytes changed, put in, taken out or cut off is an answer or an error."""
    raw = bytearray(VALID_STREAM if streams else VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["change", "insert", "delete", "cut"]))
        if kind == "change":
            raw[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=5))
        elif kind == "delete":
            del raw[at : at + data.draw(st.integers(1, 8))]
        else:
            del raw[at:]
        if not raw:
            break
    outcome = call(request(stream=streams), [bytes(raw), CLOSE])
    assert outcome.error is not None or outcome.response is not None or streams
    for item in outcome.items:
        assert isinstance(item, ProviderChunk | GatewayError)


# --- keys ----------------------------------------------------------------------------------------

ECHO = orjson.dumps({"error": {"message": f"Incorrect API key provided: {SECRET}."}})
ECHOES: dict[str, Script] = {
    "client error": answer(ECHO, "401 Unauthorized"),
    "server error": answer(ECHO, "500 No"),
    "garbage": answer(ECHO),
    "not JSON": answer(f"<{SECRET}>".encode()),
    "cut": [PARTIAL + SECRET.encode(), 0.02, CLOSE],
    "in a stream": stream(b"data: " + ECHO + b"\n\n"),
    "another type": answer(ECHO, "200 OK", "content-type: text/html"),
}


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("script", ECHOES.values(), ids=ECHOES.keys())
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_key_that_a_server_echoes_is_not_shown(
    script: Script, debug: bool, dynamic: bool, streams: bool, logs: pytest.LogCaptureFixture
) -> None:
    outcome = call(
        request(stream=streams),
        script,
        credential=DynamicCredential("k") if dynamic else StaticCredential(SECRET),
        credentials={"k": SECRET},
        debug=debug,
    )
    assert outcome.headers["authorization"] == f"Bearer {SECRET}"
    errors = [one for one in (outcome.error, *outcome.items) if isinstance(one, Exception)]
    assert errors
    for error in errors:
        shown = [str(error), repr(error), str(error.to_json())]
        shown += [raw.data for raw in error.raw_responses()]
        assert not [text for text in shown if SECRET in text]
    assert SECRET not in logs.text
