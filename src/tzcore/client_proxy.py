"""Forward proxies: which one serves an origin (environment), and tunnels through it (CONNECT)."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from tzcore.client_connect import open_socket

_MAX_HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy."""

    scheme: str
    host: str
    port: int
    authorization: bytes
    """The value of Proxy-Authorization, empty without credentials."""

    def __repr__(self) -> str:
        return f"Proxy({self.scheme}://{self.host}:{self.port})"


class TunnelRefused(Exception):
    """The proxy did not open a tunnel; the text says what it answered."""


def parse_proxy(url: str, variable: str) -> Proxy:
    """Read a proxy's URL; ``ValueError`` names ``variable`` and never shows the URL itself."""
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{variable}: the proxy's URL is malformed") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(
            f"{variable}: proxies of the kind {parts.scheme}:// are not supported, "
            "only http:// and https://"
        )
    if not host:
        raise ValueError(f"{variable}: the proxy's URL has no host")
    authorization = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(pair.encode())
    default_port = 443 if parts.scheme == "https" else 80
    return Proxy(parts.scheme, host, port or default_port, authorization)


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Whether NO_PROXY exempts an origin.

    Its entries are ``*``, a name (which covers the names below it, with or without a leading
    dot), an address or a network in CIDR form, each optionally with ``:port``.
    """
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for entry in no_proxy.lower().split(","):
        name = entry.strip()
        before, colon, after = name.rpartition(":")
        if colon and after.isdigit() and (before.endswith("]") or ":" not in before):
            if int(after) != port:
                continue
            name = before
        name = name.strip("[]").removeprefix("*.").strip(".")
        if name == "*":
            return True
        if address is not None:
            try:
                if address in ipaddress.ip_network(name, strict=False):
                    return True
            except ValueError:
                continue
        elif name and (host == name or host.endswith("." + name)):
            return True
    return False


def proxy_from_environment(scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY give an origin.

    The lower-case names win, and HTTP_PROXY in upper case is ignored in a CGI environment, as
    usual. Raises ``ValueError`` for a proxy that cannot be used.
    """
    proxies: Mapping[str, str] = getproxies_environment()
    key = scheme if proxies.get(scheme) else "all"
    url = proxies.get(key)
    if not url:
        return None
    if bypasses(proxies.get("no", ""), host, port):
        return None
    return parse_proxy(url, f"{key.upper()}_PROXY")


class _ConnectProtocol(asyncio.Protocol):
    """Sends CONNECT and waits for the head of the answer."""

    def __init__(self, authority: bytes, authorization: bytes) -> None:
        self._request = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n" % (authority, authority)
        if authorization:
            self._request += b"proxy-authorization: " + authorization + b"\r\n"
        self._request += b"\r\n"
        self._received = bytearray()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if self.opened.done():
            return
        if end < 0:
            if len(self._received) > _MAX_HEAD_BYTES:
                self._refuse("the proxy's answer to CONNECT is too large")
            return
        status = bytes(self._received[:64]).split(b"\r\n", 1)[0].split(b" ")
        code = status[1] if len(status) > 1 else b""
        if not status[0].startswith(b"HTTP/1.") or len(code) != 3 or not code.isdigit():
            self._refuse("the proxy's answer to CONNECT is not HTTP")
        elif code[:1] != b"2":
            self._refuse(f"the proxy answered CONNECT with {code.decode()}")
        elif len(self._received) > end + 4:
            self._refuse("the proxy sent bytes before the tunnel was used")
        else:
            self.opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._refuse("the proxy closed the connection instead of answering CONNECT")

    def _refuse(self, message: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(TunnelRefused(message))


async def open_tunnel(
    proxy: Proxy,
    proxy_context: ssl.SSLContext,
    host: str,
    port: int,
    context: ssl.SSLContext,
    factory: Callable[[], Any],
) -> Any:
    """Connect to ``host:port`` by TLS through ``proxy``; the connected protocol.

    Raises ``TunnelRefused``, ``OSError`` or ``ssl.SSLError``.
    """
    loop = asyncio.get_running_loop()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    sock = await open_socket(proxy.host, proxy.port)
    try:
        transport, connecting = await loop.create_connection(
            lambda: _ConnectProtocol(authority.encode(), proxy.authorization),
            sock=sock,
            ssl=proxy_context if proxy.scheme == "https" else None,
            server_hostname=proxy.host if proxy.scheme == "https" else None,
        )
    except BaseException:
        sock.close()
        raise
    try:
        await connecting.opened
        protocol = factory()
        secured = await loop.start_tls(transport, protocol, context, server_hostname=host)
        if secured is None:
            raise TunnelRefused("the tunnel was closed during the TLS handshake")
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(secured)
    return protocol
