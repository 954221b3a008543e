"""The compiled protocol and uvicorn's own, each in a running gateway, answer alike.

Thousands of generated requests, several to a connection and cut at random places, go to both. Where
a request is broken, the compiled way may refuse with 400 what the other reads, never the reverse.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random
import re
import socket
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import brotli
import orjson
import pytest
import zstandard

from gateway import functions
from gateway.provider import Provider, delta, ending
from gateway.running import Gateway

CONVERSATIONS = 3000
SECONDS = 25.0
"""No new connection after this time; how many there must have been is asserted."""
SILENCE_S = 0.4
LONG_SILENCE_S = 6.0
AT_ONCE = 8

VARYING = re.compile(
    rb'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<="created":)\d+|(?<=call_)[0-9A-Za-z]+'
)
COMPARED = (
    *(b"content-type", b"allow", b"accept-encoding", b"cache-control", b"connection"),
    b"x-tensorzero-gateway-version",
)


class Ports(NamedTuple):
    fast: int
    plain: int


@pytest.fixture(scope="module")
def ways(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Gateway]]:
    """The compiled way and the plain one."""
    settings = "[gateway]\nobservability = { enabled = false }\n"
    running = []
    for way, name in (("0", "fast"), ("1", "plain")):
        folder: Path = tmp_path_factory.mktemp(name)
        config = functions.write(folder, provider.url, settings)
        environment = {"TENSORZERO_PLAIN_HTTP": way}
        running.append(Gateway(config, folder / "data", environment=environment))
    assert "TENSORZERO_PLAIN_HTTP is set" not in running[0].log()
    assert "TENSORZERO_PLAIN_HTTP is set" in running[1].log()
    yield running
    for gateway in running:
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log()


def port_of(gateway: Gateway) -> int:
    return int(gateway.url.rpartition(":")[2])


@pytest.fixture
def ports(ways: list[Gateway]) -> Ports:
    return Ports(*map(port_of, ways))


class Answer(NamedTuple):
    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


def read_answers(stream: bytes, methods: list[bytes]) -> tuple[list[Answer], bytes]:
    """The answers of a connection, and what is left of an incomplete one."""
    answers: list[Answer] = []
    while stream:
        head, found, rest = stream.partition(b"\r\n\r\n")
        if not found:
            break
        status = int(head[9:12])
        if status == 100:
            stream = rest
            continue
        fields = []
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            fields.append((name.lower(), value.strip()))
        given = dict(fields)
        assert len(given) == len(fields), head
        if b"transfer-encoding" in given:
            body, ends = b"", False
            while not ends:
                size, found, rest = rest.partition(b"\r\n")
                if not found or len(rest) < int(size, 16) + 2:
                    return answers, stream
                body += rest[: int(size, 16)]
                rest = rest[int(size, 16) + 2 :]
                ends = int(size, 16) == 0
        else:
            is_head = len(answers) < len(methods) and methods[len(answers)] == b"HEAD"
            # A refused head may be of any method: its answer has a body always.
            is_refusal = status in (400, 431) and b"connection" in given
            length = 0 if is_head and not is_refusal else int(given[b"content-length"])
            if len(rest) < length:
                break
            body, rest = rest[:length], rest[length:]
        kept = tuple(sorted((name, given[name]) for name in COMPARED if name in given))
        answers.append(Answer(status, kept, VARYING.sub(b"", body)))
        stream = rest
    return answers, stream


async def converse(
    port: int, pieces: list[bytes], methods: list[bytes], silence_s: float
) -> tuple[list[Answer], str]:
    """Send the pieces; all answers, and how it ended: ``closed`` or ``silent``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        while True:
            data = await asyncio.wait_for(reader.read(1 << 20), silence_s)
            if not data:
                ending = "closed"
                break
            received += data
    except TimeoutError:
        ending = "silent"
    except ConnectionError:
        ending = "closed"
    finally:
        writer.close()
    answers, rest = read_answers(received, methods)
    assert not rest, rest
    return answers, ending


HELLO = {"messages": [{"role": "user", "content": "hi"}]}


class Requests:
    """Draws requests; everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def inference(self) -> Any:
        pick = self.chance.choice
        body: dict[str, Any] = {"input": pick([HELLO, HELLO, {}, {"messages": []}])}
        body |= pick(
            [
                {"model_name": "dummy::text"},
                {"model_name": "dummy::text"},
                {"model_name": "dummy::error"},
                {"model_name": "dummy::json"},
                {"model_name": "nope::x"},
                {"model_name": "scripted"},
                {"function_name": "two", "variant_name": pick(["a", "b", "none"])},
                {"function_name": "nope"},
                {"function_name": "extract", "variant_name": "v"},
                {"function_name": "typed"},
                {"function_name": 5},
                {},
            ]
        )
        for field in self.chance.sample(
            [
                {"stream": True},
                {"stream": True},
                {"dryrun": True},
                {"tags": {"a": "b" * self.chance.randrange(5000)}},
                {"episode_id": "x"},
                {"params": {"chat_completion": {"temperature": pick([0.5, "hot"])}}},
                {"bogus": 1},
                {"include_raw_usage": True},
            ],
            pick([0, 0, 1, 1, 2]),
        ):
            body |= field
        return body

    def completion(self) -> Any:
        pick = self.chance.choice
        body: dict[str, Any] = {
            "model": pick(
                ["tensorzero::model_name::dummy::text", "tensorzero::function_name::nope", "x", 3]
            ),
            "messages": pick([HELLO["messages"], [], "hi"]),
        }
        if self.chance.random() < 0.4:
            body["stream"] = True
        return body

    def content(self, value: Any) -> bytes:
        plain = orjson.dumps(value)
        luck = self.chance.random()
        if luck < 0.08:
            at = self.chance.randrange(len(plain))
            return plain[:at] + self.chance.randbytes(self.chance.randrange(3)) + plain[at + 1 :]
        if luck < 0.1:
            return b""
        return plain

    def coded(self, content: bytes) -> tuple[bytes, list[bytes]]:
        if self.chance.random() > 0.15:
            return content, []
        coding = self.chance.choice([b"gzip", b"br", b"zstd", b"deflate", b"identity", b"gzip,br"])
        packed = {
            b"gzip": gzip.compress,
            b"br": brotli.compress,
            b"zstd": zstandard.compress,
            b"deflate": zlib.compress,
        }.get(coding, bytes)(content)
        if self.chance.random() < 0.3:
            packed = packed[: self.chance.randrange(len(packed) + 1)]
        return packed, [b"Content-Encoding: " + coding]

    def fields(self) -> list[bytes]:
        pick = self.chance.choice
        drawn = [
            b"Content-Type: " + pick([b"application/json", b"text/plain", b""]),
            b"User-Agent: curl/8",
            b"x-y:" + pick([b"", b" ", b"\t"]) + b"z" * self.chance.randrange(2000),
            b"Accept: */*",
            b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
            b"X-Latin: caf\xe9",
        ]
        fields = self.chance.sample(drawn, self.chance.randrange(len(drawn)))
        if self.chance.random() < 0.03:
            fields += [b"X-%d: 1" % number for number in range(self.chance.randrange(80, 110))]
        if self.chance.random() < 0.02:
            fields.append(b"X-Long: " + b"l" * self.chance.choice([30_000, 60_000, 66_000]))
        return fields

    def framed(self, body: bytes) -> tuple[bytes, bytes]:
        """The field that frames the body, and the body as it is sent."""
        if self.chance.random() > 0.2:
            name = self.chance.choice([b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
            return name + b": %d" % len(body), body
        chunked, at = b"", 0
        while at < len(body):
            size = self.chance.choice([1, 7, 100, 5000])
            piece = body[at : at + size]
            extension = self.chance.choice([b"", b"", b";a", b";a=b", b';a="b c"'])
            chunked += b"%x" % len(piece) + extension + b"\r\n" + piece + b"\r\n"
            at += size
        end = self.chance.choice([b"0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n"])
        return b"Transfer-Encoding: chunked", chunked + end

    def one(self, *, last: bool = False) -> tuple[bytes, bytes]:
        """A well-formed request: its method and its bytes."""
        pick = self.chance.choice
        fields = [b"Host: gateway.example", *self.fields()]
        if last:
            fields.append(b"Connection: " + pick([b"close", b"Close", b"keep-alive, close"]))
        if self.chance.random() < 0.12:
            method, path = pick(
                [
                    (b"GET", b"/status"),
                    (b"GET", b"/nope?x=1"),
                    (b"HEAD", b"/status"),
                    (b"GET", b"/inference"),
                    (b"DELETE", b"/openai/v1/chat/completions"),
                    (b"GET", b"/openai/v1/models/none"),
                    (b"OPTIONS", b"/inference"),
                    (b"GET", b"/internal/object_storage"),
                ]
            )
            return method, b"\r\n".join(
                [method + b" " + path + b" HTTP/1.1", *fields]
            ) + b"\r\n" * 2
        if self.chance.random() < 0.3:
            path, content = b"/openai/v1/chat/completions", self.content(self.completion())
        else:
            path, content = b"/inference", self.content(self.inference())
        path += pick([b"", b"", b"", b"?a=b", b"?", b"/"])
        if self.chance.random() < 0.05:
            path = b"http://gateway.example" + path
        body, coding = self.coded(content)
        framing, sent = self.framed(body)
        fields += [framing, *coding]
        if self.chance.random() < 0.05:
            fields.append(b"Expect: 100-continue")
        self.chance.shuffle(fields)
        line = b"POST " + path + b" HTTP/1.1"
        return b"POST", b"\r\n".join([line, *fields]) + b"\r\n\r\n" + sent

    def pieces(self, stream: bytes) -> list[bytes]:
        cuts = sorted(
            self.chance.randrange(len(stream) + 1) for _ in range(self.chance.choice([0, 0, 1, 5]))
        )
        marks = [0, *cuts, len(stream)]
        return [stream[start:end] for start, end in itertools.pairwise(marks) if start < end]

    def broken(self) -> bytes:
        """A request with one fault in its framing."""
        method, request = self.one()
        while method == b"HEAD":
            method, request = self.one()
        head, _, body = request.partition(b"\r\n\r\n")
        if self.chance.random() < 0.5:
            at = self.chance.randrange(len(head) + 4)
            damage = bytes(
                [self.chance.choice([0, 9, 10, 13, 32, 44, 58, 127, self.chance.randrange(256)])]
            )
            return request[:at] + damage + request[at + self.chance.randrange(2) :]
        lines = head.split(b"\r\n")
        extra = self.chance.choice(
            [
                b"Content-Length: 3",
                b"Content-Length: 1, 1",
                b"Content-Length: -1",
                b"Content-Length: 0x10",
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: gzip, chunked",
                b"Transfer-Encoding: identity",
                b"Transfer-Encoding : chunked",
                b" folded: 1",
                b"Host: other",
                b"no colon",
                b": no name",
                b"X: \x00",
                b"X: a\rb",
            ]
        )
        lines.insert(self.chance.randrange(1, len(lines) + 1), extra)
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


Conversation = tuple[list[bytes], list[bytes], bool]
"""Pieces, methods, and whether a broken request ends it."""


def conversation(seed: int) -> Conversation:
    requests = Requests(seed)
    count = requests.chance.randrange(1, 16)
    drawn = [requests.one() for _ in range(count)]
    is_broken = requests.chance.random() < 0.4
    if is_broken:
        drawn = drawn[: requests.chance.randrange(3)]
        drawn.append((b"?", requests.broken()))
    drawn.append(requests.one(last=True))
    return (
        requests.pieces(b"".join(request for _, request in drawn)),
        [method for method, _ in drawn],
        is_broken,
    )


Outcome = tuple[list[Answer], str]


def fault(fast: Outcome, plain: Outcome, *, is_broken: bool) -> str | None:
    """What is wrong with two outcomes of one conversation; ``None`` if nothing is."""
    if fast == plain:
        return None
    if is_broken and fast[0] and fast[1] == "closed":
        *same, refusal = fast[0]
        if (
            refusal.status in (400, 431)
            and (b"connection", b"close") in refusal.fields
            and same == plain[0][: len(same)]
        ):
            return None
    for number, (one, other) in enumerate(
        zip(*(outcome[0] for outcome in (fast, plain)), strict=False)
    ):
        if one != other:
            return f"answer {number}:\n{one}\n{other}"
    return f"{len(fast[0])} answers, {fast[1]} != {len(plain[0])} answers, {plain[1]}"


def test_generated_requests_are_answered_alike(ports: Ports, provider: Provider) -> None:
    statuses: Counter[int] = Counter()
    stricter = broken = 0
    ends = time.monotonic() + SECONDS
    seeds = iter(range(1_000_000))

    async def both(talk: Conversation, silence_s: float) -> tuple[Outcome, Outcome]:
        pieces, methods, _ = talk
        return await asyncio.gather(
            converse(ports.fast, pieces, methods, silence_s),
            converse(ports.plain, pieces, methods, silence_s),
        )

    async def work() -> None:
        nonlocal stricter, broken
        while time.monotonic() < ends:
            seed = next(seeds)
            if seed >= CONVERSATIONS:
                return
            talk = conversation(seed)
            is_broken = talk[2]
            fast, plain = await both(talk, SILENCE_S if is_broken else 20.0)
            if is_broken and fast != plain and "silent" in (fast[1], plain[1]):
                fast, plain = await both(talk, LONG_SILENCE_S)
            wrong = fault(fast, plain, is_broken=is_broken)
            if wrong is not None:
                raise AssertionError(f"seed {seed}: {wrong}\n{b'|'.join(talk[0])[:3000]!r}")
            if not is_broken:
                # A head beyond a limit ends the connection, on both ways.
                assert fast[1] == "closed", seed
            statuses.update(answer.status for answer in fast[0])
            broken += is_broken
            stricter += fast != plain

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    asyncio.run(main())
    assert statuses.total() > 1000, statuses
    assert broken > 50
    assert stricter < broken
    assert {200, 400, 404, 405, 415, 431} <= set(statuses), statuses


@pytest.mark.parametrize("way", [0, 1])
def test_a_reader_that_stops_is_cut_off(ways: list[Gateway], provider: Provider, way: int) -> None:
    """What waits for it is bounded; the next request is answered."""
    gateway = ways[way]
    provider.scripts["scripted"] = [delta(content="x" * 50_000) for _ in range(400)] + ending()
    body = orjson.dumps({"model_name": "scripted", "input": HELLO, "stream": True})
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", port_of(gateway)))
        link.sendall(
            b"POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        ends = time.monotonic() + 30
        while "reads its stream too slowly" not in gateway.log():
            assert time.monotonic() < ends
            time.sleep(0.05)
    assert gateway.post({"model_name": "dummy::text", "input": HELLO}).status_code == 200


@pytest.mark.parametrize("way", [0, 1])
def test_a_chunked_body_beyond_the_limit_is_answered(ways: list[Gateway], way: int) -> None:
    """The client goes on sending, and still gets the answer; then the connection ends."""
    with socket.create_connection(("127.0.0.1", port_of(ways[way])), timeout=30) as link:
        link.sendall(b"POST /inference HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        for _ in range(102):
            link.sendall(chunk)
        link.sendall(b"0\r\n\r\n")
        answer = link.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"413 Payload Too Large" in answer
    assert b"connection: close" in answer


@pytest.mark.parametrize("path", [b"/inference", b"/status"])
@pytest.mark.parametrize("way", [0, 1])
def test_the_limits_of_a_head(ways: list[Gateway], way: int, path: bytes) -> None:
    """100 fields and 64 KB pass, more gets 431; on hot routes and on others."""
    port = port_of(ways[way])

    def status(*fields: bytes) -> int:
        head = b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: x", *fields, b"", b""])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
            link.sendall(head)
            return int(link.recv(65536)[9:12])

    accepted = 405 if path == b"/inference" else 200
    assert status(*[b"X: y"] * 99) == accepted
    assert status(*[b"X: y"] * 100) == 431
    assert status(b"X: " + b"x" * 65_000) == accepted
    assert status(b"X: " + b"x" * 66_000) == 431
    assert status(b"X: " + b"x" * 1_000_000) == 431
