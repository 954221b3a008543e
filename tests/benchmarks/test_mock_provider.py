"""The mock provider speaks HTTP/1.1 and Chat Completions as a client expects."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from openai import OpenAI
from processes import Mock


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock(chunks=5, chunk_bytes=300, interval_us=2000) as running:
        yield running


def _receive(client: socket.socket, marker: bytes, count: int) -> bytes:
    data = b""
    while data.count(marker) < count:
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


def test_a_client_of_the_field_reads_answers_and_streams(mock: Mock) -> None:
    client = OpenAI(api_key="none", base_url=mock.url.removesuffix("/chat/completions"))
    messages = [{"role": "user", "content": 'say "stream":true'}]
    answer = client.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]  # plain dicts
    assert answer.choices[0].message.content == "Hello! How can I help you today?"
    assert answer.usage is not None and answer.usage.total_tokens == 29
    stream = client.chat.completions.create(model="m", messages=messages, stream=True)  # type: ignore[arg-type]  # plain dicts
    chunks = list(stream)
    texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(texts) == 5
    assert chunks[-1].usage is not None


def test_pipelined_requests_are_answered_in_order(mock: Mock) -> None:
    body = b'{"messages":[]}'
    streamed = b'{"stream": true}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    plain = head % len(body) + body
    with socket.create_connection(("127.0.0.1", mock.port), timeout=20) as client:
        client.sendall(plain + head % len(streamed) + streamed + plain)
        data = _receive(client, b'"object":"chat.completion",', 2)
    assert data.count(b"HTTP/1.1 200 OK") == 3
    order = [
        data.index(b'"chat.completion"'),
        data.index(b"[DONE]"),
        data.rindex(b'"chat.completion"'),
    ]
    assert order == sorted(order)


def test_bodies_of_megabytes_in_pieces_and_chunked(mock: Mock) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 3_000_000}]}).encode()

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 70_001):
            yield body[at : at + 70_001]

    with httpx.Client(timeout=20) as client:
        for content in (body, pieces()):
            answer = client.post(mock.url, content=content)
            assert answer.json()["usage"]["total_tokens"] == 29
        assert client.post(mock.url.replace("chat", "chit"), content=b"{}").status_code == 404
        streamed = client.post(mock.url, content=iter([b'{"str', b'eam" :true}']))
        assert streamed.text.endswith("data: [DONE]\n\n")


def test_chunks_come_in_their_interval() -> None:
    with Mock(chunks=4, interval_us=50_000, delay_us=100_000) as mock, httpx.Client() as client:
        started = time.monotonic()
        with client.stream("POST", mock.url, content=b'{"stream":true}', timeout=20) as answer:
            arrived = [time.monotonic() - started for _ in answer.iter_raw()]
    assert arrived[0] >= 0.1
    assert arrived[-1] >= 0.1 + 3 * 0.05


def test_below_its_faults_it_answers_with_them(mock: Mock) -> None:
    def ask(fault: str, *, stream: bool = False) -> httpx.Response:
        url = mock.url.replace("/v1/", f"/{fault}/v1/")
        return httpx.post(url, json={"messages": [], "stream": stream}, timeout=20)

    for status in (500, 400):
        for stream in (False, True):
            answer = ask(f"status-{status}", stream=stream)
            assert answer.status_code == status
            assert answer.json()["error"]["message"]
    broken = ask("garbage")
    assert broken.status_code == 200
    with pytest.raises(ValueError):
        broken.json()
    for stream in (False, True):
        with pytest.raises(httpx.RemoteProtocolError):
            ask("cut", stream=stream)
