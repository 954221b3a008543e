"""Framing that two parsers could read differently is refused; the rest is read as httptools does."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any

import httptools
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from tzcore_http_support import cold_app, connect, post, read_response, run, serve

from tzcore.chunked import ChunkDecoder
from tzcore.http1 import Exchange, Limits, make_protocol

CHUNKED = b"POST /hot HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def head(*lines: bytes, line: bytes = b"POST /hot HTTP/1.1") -> bytes:
    return b"\r\n".join([line, *lines]) + b"\r\n\r\n"


REFUSED = {
    "both lengths": head(b"Host: a", b"Content-Length: 5", b"Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "both lengths, other order": head(
        b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 5"
    ),
    "two lengths": head(b"Host: a", b"Content-Length: 5", b"Content-Length: 6"),
    "two equal lengths": head(b"Host: a", b"Content-Length: 5", b"Content-Length: 5"),
    "a list of lengths": head(b"Host: a", b"Content-Length: 5, 5"),
    "a signed length": head(b"Host: a", b"Content-Length: +5"),
    "a negative length": head(b"Host: a", b"Content-Length: -5"),
    "a hexadecimal length": head(b"Host: a", b"Content-Length: 0x5"),
    "an empty length": head(b"Host: a", b"Content-Length:"),
    "a length with blanks": head(b"Host: a", b"Content-Length: 1 2"),
    "a huge length": head(b"Host: a", b"Content-Length: 99999999999999999999"),
    "two codings": head(b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "a list of codings": head(b"Host: a", b"Transfer-Encoding: gzip, chunked"),
    "chunked not last": head(b"Host: a", b"Transfer-Encoding: chunked, gzip"),
    "an unknown coding": head(b"Host: a", b"Transfer-Encoding: xchunked"),
    "a quoted coding": head(b"Host: a", b'Transfer-Encoding: "chunked"'),
    "a vertical tab before the coding": head(b"Host: a", b"Transfer-Encoding:\x0bchunked"),
    "a tab after the coding": head(b"Host: a", b"Transfer-Encoding: chunked\t"),
    "a tab before the length": head(b"Host: a", b"Content-Length:\t5"),
    "an empty coding": head(b"Host: a", b"Transfer-Encoding:"),
    "a blank before the colon": head(b"Host: a", b"Content-Length : 5"),
    "a tab before the colon": head(b"Host: a", b"Transfer-Encoding\t: chunked"),
    "a folded field": head(b"Host: a", b"X: 1", b" Content-Length: 5"),
    "a folded first field": head(b" Host: a"),
    "no colon": head(b"Host: a", b"Content-Length 5"),
    "no name": head(b"Host: a", b": 5"),
    "a bare CR in a value": head(b"Host: a", b"X: 1\rContent-Length: 5"),
    "a bare CR before a name": head(b"Host: a", b"\rContent-Length: 5"),
    "a bare LF": b"POST /hot HTTP/1.1\nHost: a\n\n",
    "a bare LF later": b"POST /hot HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\n",
    "NUL in a value": head(b"Host: a", b"X: 1\x00"),
    "NUL in a name": head(b"Host: a", b"X\x00: 1"),
    "NUL in the target": head(b"Host: a", line=b"POST /hot\x00 HTTP/1.1"),
    "DEL in a value": head(b"Host: a", b"X: \x7f"),
    "no Host": head(),
    "two Hosts": head(b"Host: a", b"Host: b"),
    "a list in Host": head(b"Host: a, b"),
    "two blanks before the target": head(b"Host: a", line=b"POST  /hot HTTP/1.1"),
    "two blanks after the target": head(b"Host: a", line=b"POST /hot  HTTP/1.1"),
    "a tab in the request line": head(b"Host: a", line=b"POST\t/hot HTTP/1.1"),
    "a blank after the version": head(b"Host: a", line=b"POST /hot HTTP/1.1 "),
    "a blank before the method": head(b"Host: a", line=b" POST /hot HTTP/1.1"),
    "no version": head(b"Host: a", line=b"POST /hot"),
    "a lower-case version": head(b"Host: a", line=b"POST /hot http/1.1"),
    "a fragment": head(b"Host: a", line=b"POST /hot?x#y HTTP/1.1"),
    "bytes above ASCII in the target": head(b"Host: a", line=b"POST /h\xc3\xb6t HTTP/1.1"),
    "chunked in HTTP/1.0": head(
        b"Host: a", b"Transfer-Encoding: chunked", line=b"POST /hot HTTP/1.0"
    ),
    "a chunk size that is no number": CHUNKED + b"g\r\nabc\r\n",
    "no chunk size": CHUNKED + b"\r\nabc\r\n",
    "a signed chunk size": CHUNKED + b"+3\r\nabc\r\n",
    "0x before a chunk size": CHUNKED + b"0x3\r\nabc\r\n",
    "a blank after a chunk size": CHUNKED + b"3 \r\nabc\r\n",
    "a huge chunk size": CHUNKED + b"fffffffffffffffff\r\n",
    "a chunk size that overflows": CHUNKED + b"ffffffffffffffff\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n",
    "a bare LF after a chunk size": CHUNKED + b"3\nabc\r\n",
    "a bare LF after a chunk": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "a bare LF in an extension": CHUNKED + b"3;a\nb\r\nabc\r\n",
    "a long extension": CHUNKED + b"3;" + b"a" * 300 + b"\r\nabc\r\n",
    "a malformed trailer": CHUNKED + b"0\r\nX : 1\r\n\r\n",
    "a length in the trailer": CHUNKED + b"0\r\ncontent-Length: 3\r\n\r\n",
    "a coding in the trailer": CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a folded trailer": CHUNKED + b"0\r\nX: 1\r\n y\r\n\r\n",
}


def test_ambiguous_framing_is_refused_and_nothing_after_it_is_read() -> None:
    async def main() -> None:
        bodies: list[bytes] = []

        def handler(exchange: Exchange) -> None:
            bodies.append(exchange.body)
            exchange.respond(200, b"read")

        async with serve({(b"POST", b"/hot"): handler}) as server:
            for name, request in REFUSED.items():
                reader, writer = await connect(server.port)
                writer.write(request + post("/hot", b"smuggled"))
                status, answer_head, body = await read_response(reader)
                assert status == 400, name
                assert body.startswith(b'{"error":"'), name
                assert b"connection: close\r\n" in answer_head, name
                assert await reader.read() == b"", name
                writer.close()
            # The same on a cold path: what is ambiguous is not handed over either.
            for name in ("both lengths", "two lengths", "a folded field", "a list of codings"):
                reader, writer = await connect(server.port)
                writer.write(REFUSED[name].replace(b"/hot", b"/cold"))
                assert (await read_response(reader))[0] == 400, name
                writer.close()
        assert bodies == []

    run(main())


def test_other_versions_are_refused_by_name() -> None:
    async def main() -> None:
        async with serve({}) as server:
            for request in (
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
                b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
            ):
                reader, writer = await connect(server.port)
                writer.write(request)
                assert (await read_response(reader))[0] == 505
                writer.close()

    run(main())


class FakeTransport:
    """Keeps what is written; never full, never closed by itself."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, pieces: Any) -> None:
        self.written += b"".join(pieces)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closing = True

    abort = close

    def set_protocol(self, protocol: Any) -> None:
        protocol.transport = self


class Successor:
    """Stands for uvicorn's protocol: keeps the bytes that were handed over."""

    unread: bytes | None = None

    def __init__(self, **_: Any) -> None:
        pass

    def connection_made(self, transport: Any) -> None:
        pass

    def data_received(self, data: bytes) -> None:
        Successor.unread = (Successor.unread or b"") + data


Message = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


def read_ours(stream: bytes, cuts: list[int]) -> list[Message]:
    """The requests our parser delivers to a handler, whatever the path."""
    messages: list[Message] = []

    def handler(exchange: Exchange) -> None:
        target = exchange.path + (b"?" + exchange.query if exchange.query else b"")
        messages.append((exchange.method, target, exchange.headers, exchange.body))
        exchange.respond(200, b"")

    loop = asyncio.new_event_loop()
    try:
        config = uvicorn.Config(cold_app, lifespan="off", log_level="critical")
        factory = make_protocol({(b"POST", b"/hot"): handler})
        state = uvicorn.server.ServerState()
        protocol: Any = factory(config=config, server_state=state, app_state={}, _loop=loop)
        protocol.connection_made(FakeTransport())
        marks = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        for start, end in pairwise(marks):
            target = protocol if Successor.unread is None else Successor()
            target.data_received(stream[start:end])
        protocol.connection_lost(None)
    finally:
        loop.close()
    return messages


class Reader:
    """Collects what httptools reads."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def on_message_begin(self) -> None:
        self.url, self.body = b"", b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.in_body = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_body:
            self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.in_body = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        method = self.parser.get_method()
        url = self.url.removesuffix(b"?") if self.url.count(b"?") == 1 else self.url
        self.messages.append((method, url, self.fields, self.body))

    def read(self, stream: bytes) -> list[Message]:
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(stream)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return self.messages
        return self.messages


PARTS = [
    b"POST /hot HTTP/1.1\r\n", b"POST /hot?q=1 HTTP/1.1\r\n", b"GET /hot HTTP/1.1\r\n",
    b"Host: a\r\n", b"Content-Length: 3\r\n", b"content-length:3 \r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: Chunked\r\n", b"X: y\r\n",
    b"X:\t\r\n", b"X-1: a\xff\r\n", b"Connection: keep-alive\r\n", b"\r\n", b"\r\n", b"abc",
    b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nT: 1\r\n\r\n", b"3;a=b\r\nabc\r\n", b'1;a="x\\""\r\nz\r\n',
    b"0\r\nContent-Length: 3\r\n\r\n", b"0\r\nConnection: close\r\n\r\n",
    b"\r", b"\n", b" ", b"\t", b"\x00", b":", b",", b"Expect: 100-continue\r\n", b"03\r\nabc\r\n",
]  # fmt: skip
WHOLE = [
    post("/hot", b"abc"),
    post("/hot?x=%20y", b""),
    CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Requests in the common form, and damaged ones, one after the other."""
    stream = b""
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            piece = draw(st.sampled_from(WHOLE))
        else:
            piece = b"".join(draw(st.lists(st.sampled_from(PARTS), max_size=8)))
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(piece)))
            damage = draw(st.sampled_from([*PARTS, b"", b"\r\n", b"a", b"\x7f", b"\x0b"]))
            piece = piece[:at] + damage + piece[at + draw(st.integers(0, 2)) :]
        stream += piece
    return stream


def compare(stream: bytes, cuts: list[int]) -> int:
    Successor.unread = None
    ours = read_ours(stream, cuts)
    theirs = Reader().read(stream)
    # What we read, httptools reads equally; where we stop (refusing, handing over, waiting for
    # more), it may go on.
    assert ours == theirs[: len(ours)], stream
    return len(ours)


@pytest.fixture(autouse=True)
def no_uvicorn_protocol(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "httptools" in request.node.name:
        monkeypatch.setattr("tzcore.http1_plain.PlainProtocol", Successor)


@settings(max_examples=600, deadline=None)
@given(streams(), st.lists(st.integers(0, 300), max_size=6))
def test_what_is_read_equals_what_httptools_reads(stream: bytes, cuts: list[int]) -> None:
    compare(stream, cuts)


@pytest.mark.soak
@settings(max_examples=60_000, deadline=None)
@given(streams(), st.lists(st.integers(0, 300), max_size=6))
def test_what_is_read_equals_what_httptools_reads_at_length(stream: bytes, cuts: list[int]) -> None:
    compare(stream, cuts)


def refused_head(stream: bytes, routes: dict[tuple[bytes, bytes], Any]) -> bytes | None:
    """The status line of what the first head is answered with; ``None`` if it is accepted."""
    Successor.unread = None
    transport = FakeTransport()
    loop = asyncio.new_event_loop()
    try:
        config = uvicorn.Config(cold_app, lifespan="off", log_level="critical")
        state = uvicorn.server.ServerState()
        factory = make_protocol(routes)
        protocol: Any = factory(config=config, server_state=state, app_state={}, _loop=loop)
        protocol.connection_made(transport)
        protocol.data_received(stream)
        assert not (transport.written and Successor.unread), stream
        if Successor.unread is None:
            protocol.connection_lost(None)
    finally:
        loop.close()
    return transport.written.partition(b"\r\n")[0] or None


@settings(max_examples=200, deadline=None)
@given(streams())
def test_what_is_refused_is_refused_on_every_path_not_handed_over_to_httptools(
    stream: bytes,
) -> None:
    head, end, _ = stream.lstrip(b"\r\n").partition(b"\r\n\r\n")
    hot = {(b"POST", b"/hot"): lambda exchange: None}
    assert refused_head(head + end, hot) == refused_head(head + end, {}), stream


def test_single_byte_damage_is_refused_or_read_as_httptools_does() -> None:
    chance = random.Random(20_240_601)
    read = 0
    for stream in WHOLE:
        stream += post("/hot", b"next")
        for at in range(len(stream)):
            for byte in (0, 9, 10, 11, 13, 32, 34, 44, 58, 127, 255, chance.randrange(256)):
                damaged = stream[:at] + bytes([byte]) + stream[at + 1 :]
                read += compare(damaged, [at])
                read += compare(stream[:at] + bytes([byte]) + stream[at:], [])
            read += compare(stream[:at] + stream[at + 1 :], [at, at + 1])
    assert read > 1000


def test_single_byte_damage_test_would_see_httptools_differ() -> None:
    """The comparison itself can fail: a request read with another body is noticed."""
    stream = post("/hot", b"abc")
    theirs = Reader().read(stream)
    assert theirs[0][3] == b"abc"
    assert read_ours(stream, []) == theirs
    assert read_ours(stream.replace(b"abc", b"abd"), []) != theirs


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_garbage_of_any_kind_does_no_harm(stream: bytes, cuts: list[int]) -> None:
    Successor.unread = None
    # No bytes that may follow make this a request of ours.
    assert read_ours(CHUNKED.rstrip(b"\r\n") + b"x" + stream, cuts) == []


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 40), st.booleans())
def test_a_chunked_body_is_decoded_in_any_pieces(
    chunks: list[bytes], step: int, lenient: bool
) -> None:
    body = b"".join(b"%X;n=v\r\n" % len(chunk) + chunk + b"\r\n" for chunk in chunks)
    body += b"000\r\nTrailer: x\r\n\r\n"
    out = bytearray()
    decoder = ChunkDecoder(lenient)
    for at in range(0, len(body), step):
        piece = body[at : at + step]
        assert decoder.feed(piece, out) == len(piece)
    assert decoder.done
    assert out == b"".join(chunks)
    assert decoder.total == len(out)
    assert decoder.feed(b"next", out) == 0


def test_the_trailer_section_is_bounded() -> None:
    decoder = ChunkDecoder(False, 100)
    decoder.feed(b"0\r\n" + b"X: y\r\n" * 30)
    assert decoder.error == "the trailer section is too long"


def test_head_limits_are_exact() -> None:
    async def main() -> None:
        def handler(exchange: Exchange) -> None:
            exchange.respond(200, b"%d" % len(exchange.headers))

        limits = Limits(max_head_bytes=2000, max_headers=10)
        async with serve({(b"POST", b"/hot"): handler}, limits=limits) as server:
            base = len(post("/hot", b"", "X: "))
            fields = [f"X-{number}: 1" for number in range(9)]
            for request, status in [
                (post("/hot", b"", "X: " + "a" * (2000 - base)), 200),
                (post("/hot", b"", "X: " + "a" * (2001 - base)), 431),
                (post("/hot?" + "a" * 3000), 431),
                (post("/hot", b"", *fields[:8]), 200),
                (post("/hot", b"", *fields), 431),
            ]:
                for step in (10_000, 500):
                    reader, writer = await connect(server.port)
                    for at in range(0, len(request), step):
                        writer.write(request[at : at + step])
                        await asyncio.sleep(0.002)
                    assert (await read_response(reader))[0] == status
                    writer.close()

    run(main())
