"""Redirects, proxies, TLS, and names with several addresses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import pytest
import trustme
from test_client_requests import OK, Recorder, at, pooled
from tzcore_http_support import LOOPS, read_request, run, scripted

from tzcore import client_connect
from tzcore.client import ConnectFailed, Pool, ProtocolError
from tzcore.client_proxy import bypasses, parse_proxy, proxy_from_environment

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def redirect(status: int, location: str) -> bytes:
    return b"HTTP/1.1 %d X\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % (
        status,
        location.encode(),
    )


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        (301, b"GET", b""),
        (302, b"GET", b""),
        (303, b"GET", b""),
        (307, b"POST", b"x"),
        (308, b"POST", b"x"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_redirects_are_followed_on_the_same_origin(
    loop: str, status: int, method: bytes, body: bytes, streamed: bool
) -> None:
    async def main() -> None:
        server = Recorder(redirect(status, "../two?b"), OK)
        async with scripted(server) as port, pooled() as pool:
            target = at(pool, port, "/one/three", ("Authorization", "s"), ("Content-Type", "t"))
            if streamed:
                answer = await (await pool.stream(target, b"x")).read()
            else:
                answer = (await pool.request(target, b"x", headers=b"api-key: k\r\n")).body
                assert b"api-key: k\r\n" in server.requests[1][0]
            assert answer == b"ok"
            head, sent = server.requests[1]
            assert head.startswith(method + b" /two?b HTTP/1.1\r\n")
            assert sent == body
            assert b"Authorization: s\r\n" in head
            assert (b"Content-Type" in head) == bool(body)

    run(main(), loop)


def test_secrets_do_not_travel_to_another_origin(loop: str) -> None:
    async def main() -> None:
        other = Recorder(OK)
        async with scripted(other) as there, pooled() as pool:
            server = Recorder(redirect(307, f"http://127.0.0.1:{there}/x"))
            async with scripted(server) as here:
                fields = [
                    ("Authorization", "s"),
                    ("X-Api-Key", "s"),
                    ("Host", "h"),
                    ("X-Keep", "1"),
                ]
                target = at(pool, here, "/", *fields)
                await pool.request(target, b"x", headers=b"api-key: s\r\nx-too: 2\r\n")
            head = other.requests[0][0].lower()
            assert b"authorization" not in head
            assert b"api-key" not in head
            assert b"host: 127.0.0.1:%d\r\n" % there in head
            assert b"x-keep: 1\r\n" in head
            assert b"x-too: 2\r\n" in head

    run(main(), loop)


def test_endless_and_malformed_redirects_are_refused(loop: str) -> None:
    async def main() -> None:
        server = Recorder(redirect(307, "/again"))
        async with scripted(server) as port, pooled() as pool:
            with pytest.raises(ProtocolError, match="more than 10 times"):
                await pool.request(at(pool, port), b"x")
            assert len(server.requests) == 11
        for location in ("ftp://a/", "http://[bad/", "http://a:b/"):
            async with scripted(Recorder(redirect(302, location))) as port, pooled() as pool:
                with pytest.raises(ProtocolError, match="malformed address"):
                    await pool.request(at(pool, port), b"x")
        async with (
            scripted(Recorder(redirect(304, "/x"), redirect(300, "/x"))) as port,
            pooled() as pool,
        ):
            assert (await pool.request(at(pool, port), b"x")).status == 304
            assert (await pool.request(at(pool, port), b"x")).status == 300

    run(main(), loop)


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls_servers_are_verified(loop: str) -> None:
    async def main() -> None:
        authority = trustme.CA()
        trusted = client_context(authority)
        async with pooled(ssl_context=trusted) as pool:
            server = Recorder(OK)
            async with scripted(server, server_context(authority, "localhost")) as port:
                for _ in range(2):
                    target = pool.origin(f"https://localhost:{port}/")
                    assert (await pool.request(target, b"x")).body == b"ok"
                assert server.connections == 1
                async with pooled() as strict:
                    with pytest.raises(
                        ConnectFailed, match=r"certificate of https://localhost.* not accepted"
                    ):
                        await strict.request(strict.origin(f"https://localhost:{port}/"), b"x")
            async with scripted(Recorder(OK), server_context(authority, "other.example")) as port:
                with pytest.raises(ConnectFailed, match="not accepted"):
                    await pool.request(pool.origin(f"https://localhost:{port}/"), b"x")

            async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(1)
                writer.write(b"HTTP/1.1 400 This is no TLS\r\n\r\n")

            async with scripted(plain) as port:
                with pytest.raises(ConnectFailed, match="TLS handshake"):
                    await pool.request(pool.origin(f"https://localhost:{port}/"), b"x", timeout_s=2)

    run(main(), loop)


def test_a_server_is_told_the_name_that_is_meant(loop: str) -> None:
    """SNI: several hosts behind one address present their own certificates."""

    async def main() -> None:
        authority = trustme.CA()
        context = server_context(authority, "localhost")
        named: list[str] = []

        def note(_: ssl.SSLObject, name: str, __: ssl.SSLContext) -> None:
            named.append(name)

        context.sni_callback = note  # type: ignore[assignment]  # typeshed wants a return value
        async with (
            pooled(ssl_context=client_context(authority)) as pool,
            scripted(Recorder(OK), context) as port,
        ):
            await pool.request(pool.origin(f"https://localhost:{port}/"), b"x")
        assert named == ["localhost"]

    run(main(), loop)


class Forward:
    """A forward proxy: absolute targets and CONNECT."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if not head.startswith(b"CONNECT"):
            await reader.readexactly(1)
            writer.write(OK)
            await reader.read()
            return
        if b"refused.example" in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, back), copy(there, writer))


PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("secure_proxy", [False, True])
def test_proxies_of_the_environment_are_used(
    loop: str, environment: pytest.MonkeyPatch, secure_proxy: bool
) -> None:
    async def main() -> None:
        authority = trustme.CA()
        trusted = client_context(authority)
        forward = Forward()
        proxy_context = server_context(authority, "localhost") if secure_proxy else None
        async with scripted(forward, proxy_context) as proxy:
            scheme = "https" if secure_proxy else "http"
            environment.setenv("ALL_PROXY", f"{scheme}://us%40er:secret@localhost:{proxy}")
            environment.setenv("NO_PROXY", "direct.example")
            async with pooled(trust_env=True, ssl_context=trusted) as pool:
                response = await pool.request(pool.origin("http://far.example/a?b"), b"x")
                assert response.body == b"ok"
                assert forward.heads[0].startswith(b"POST http://far.example/a?b HTTP/1.1\r\n")
                assert b"host: far.example\r\n" in forward.heads[0]
                assert b"proxy-authorization: Basic dXNAZXI6c2VjcmV0\r\n" in forward.heads[0]
                with pytest.raises(ConnectFailed, match="proxy answered CONNECT with 407"):
                    await pool.request(pool.origin("https://refused.example/"), b"x")
                server = Recorder(OK)
                async with scripted(server, server_context(authority, "localhost")) as port:
                    target = pool.origin(f"https://localhost:{port}/x")
                    for _ in range(2):
                        assert (await pool.request(target, b"x" * 100_000)).body == b"ok"
                assert forward.heads[2].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % port)
                assert b"authorization" not in server.requests[0][0].lower()
                assert len(forward.heads) == 3
                with pytest.raises(ConnectFailed, match=r"direct\.example could not be resolved"):
                    await pool.request(pool.origin("http://direct.example/"), b"x")

    run(main(), loop)


def test_a_dead_proxy_is_named(loop: str, environment: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        environment.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:1")
        async with pooled(trust_env=True) as pool:
            with pytest.raises(ConnectFailed, match=r"by the proxy 127\.0\.0\.1:1") as error:
                await pool.request(pool.origin("http://far.example/"), b"x")
            assert "secret" not in str(error.value)

    run(main(), loop)


def test_the_environment_is_read_as_usual(loop: str, environment: pytest.MonkeyPatch) -> None:
    assert proxy_from_environment("http", "a.example", 80) is None
    environment.setenv("HTTPS_PROXY", "proxy.example")
    environment.setenv("ALL_PROXY", "http://all.example:8080")
    environment.setenv("NO_PROXY", "internal.example, 10.0.0.0/8")
    assert (
        repr(proxy_from_environment("https", "a.example", 443)) == "Proxy(http://proxy.example:80)"
    )
    assert repr(proxy_from_environment("http", "a.example", 80)) == "Proxy(http://all.example:8080)"
    assert proxy_from_environment("http", "x.internal.example", 80) is None
    assert proxy_from_environment("http", "10.1.2.3", 80) is None
    environment.setenv("https_proxy", "socks5://u:secret@proxy.example")
    pool = Pool(user_agent=b"x")
    with pytest.raises(ValueError, match="HTTPS_PROXY: proxies of the kind socks5://") as error:
        pool.origin("https://a.example/")
    assert "secret" not in str(error.value)
    for url in ("http://", "http://a:b", "http://[x"):
        with pytest.raises(ValueError, match="V: the proxy's URL"):
            parse_proxy(url, "V")


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "expected"),
    [
        ("", "a.example", 80, False),
        ("*", "a.example", 80, True),
        ("a.example", "a.example", 80, True),
        ("A.example", "b.a.example", 80, True),
        (".a.example", "b.a.example", 80, True),
        ("*.a.example", "b.a.example", 80, True),
        ("a.example", "ba.example", 80, False),
        ("a.example:81", "a.example", 80, False),
        ("a.example:80", "a.example", 80, True),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.0/8", "127.9.9.9", 80, True),
        ("127.0.0.0/8", "128.0.0.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:81", "::1", 80, False),
        ("nonsense/99, 10.0.0.1", "10.0.0.1", 80, True),
    ],
)
def test_no_proxy(loop: str, no_proxy: str, host: str, port: int, expected: bool) -> None:
    assert bypasses(no_proxy, host, port) is expected


def test_a_silent_address_does_not_delay_the_next_one(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with scripted(Recorder(OK)) as port:
            running = asyncio.get_running_loop()
            # A full backlog: further connections get no answer.
            with socket.socket() as full:
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                fillers = []
                for _ in range(4):
                    filler = socket.socket()
                    filler.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        filler.connect(full.getsockname())
                    fillers.append(filler)
                stream = socket.SOCK_STREAM
                addresses: list[Any] = [
                    (socket.AF_INET, stream, 6, "", full.getsockname()),
                    (socket.AF_INET, stream, 6, "", ("127.0.0.1", 1)),
                    (socket.AF_INET, stream, 6, "", ("127.0.0.1", port)),
                ]

                class Names:
                    """The loop, with a resolver of our own."""

                    def __getattr__(self, name: str) -> Any:
                        return getattr(running, name)

                    async def getaddrinfo(self, *_: Any, **__: Any) -> list[Any]:
                        return addresses

                monkeypatch.setattr("tzcore.client_connect.asyncio.get_running_loop", Names)
                started = running.time()
                sock = await client_connect.open_socket("many.example", port)
                monkeypatch.undo()
                assert sock.getpeername() == ("127.0.0.1", port)
                assert running.time() - started < 2
                sock.close()
                for filler in fillers:
                    filler.close()

    run(main(), loop)


def test_families_alternate_beginning_with_the_first(loop: str) -> None:
    def info(family: int, name: str) -> Any:
        return (family, 1, 6, "", name)

    six, four = socket.AF_INET6, socket.AF_INET
    given = [info(six, "a"), info(six, "b"), info(six, "c"), info(four, "d")]
    assert [each[4] for each in client_connect.interleave(given)] == ["a", "d", "b", "c"]


def test_a_request_with_a_body_reaches_the_proxy_whole(
    loop: str, environment: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        bodies: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            bodies.append((await read_request(reader))[1])
            writer.write(OK)

        async with scripted(script) as proxy:
            environment.setenv("http_proxy", f"127.0.0.1:{proxy}")
            async with pooled(trust_env=True) as pool:
                await pool.request(pool.origin("http://far.example/"), b"y" * 200_000)
        assert bodies == [b"y" * 200_000]

    run(main(), loop)
