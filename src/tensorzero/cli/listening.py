"""The address the gateway listens on, and its socket."""

from __future__ import annotations

import os
import socket

from tensorzero.cli.environment import BIND_ADDRESS
from tensorzero.config.config import Config
from tensorzero.config.read_gateway import parse_socket_address
from tensorzero.server.children import StartError

DEFAULT_ADDRESS = "0.0.0.0:3000"
BACKLOG = 4096


def bind_address(given: str | None, config: Config) -> tuple[str, int]:
    """The flag, else the variable, else the config, else the default. Raises ``StartError``."""
    given = given or os.environ.get(BIND_ADDRESS)
    configured = config.gateway.bind_address
    if given and configured:
        raise StartError(
            "the bind address is given twice: by `gateway.bind_address` in the config and by "
            f"`--bind-address` or {BIND_ADDRESS}; keep one"
        )
    text = given or configured or DEFAULT_ADDRESS
    try:
        return parse_socket_address(text)
    except ValueError as error:
        raise StartError(f"bind address `{text}`: {error}, expected `ip:port`") from None


def shown_address(host: str, port: int) -> str:
    """As a user would type it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ``StartError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: without it asyncio does not switch Nagle's algorithm off.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(
            f"cannot listen on {shown_address(host, port)}: {error.strerror}"
        ) from None
    listener.setblocking(False)
    return listener
