"""TCP connections to a name with several addresses (RFC 8305, "happy eyeballs").

A host with a dead IPv6 route must not cost every new connection a connect timeout: addresses are
tried in turn, the next one beginning while the one before it is still silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from itertools import zip_longest
from typing import Any

_NEXT_ADDRESS_DELAY_S = 0.25
"""RFC 8305, 5: the recommended delay between two attempts."""

AddressInfo = tuple[Any, Any, int, str, Any]


def interleave(addresses: list[AddressInfo]) -> list[AddressInfo]:
    """The resolver's order, families alternating, beginning with its first choice."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    other = [address for address in addresses if address[0] != addresses[0][0]]
    return [
        address for pair in zip_longest(first, other) for address in pair if address is not None
    ]


async def _connect(address: AddressInfo) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def open_socket(host: str, port: int) -> socket.socket:
    """A connected, non-blocking socket to the first address of ``host`` that answers.

    Raises the ``OSError`` of the first address when none does, ``socket.gaierror`` when the name
    cannot be resolved. Sets no time limit of its own.
    """
    loop = asyncio.get_running_loop()
    upcoming = interleave(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    attempts: set[asyncio.Task[socket.socket]] = set()
    failures: list[BaseException] = []
    winner: socket.socket | None = None
    try:
        while winner is None and (upcoming or attempts):
            if upcoming:
                attempts.add(loop.create_task(_connect(upcoming.pop(0))))
            done, attempts = await asyncio.wait(
                attempts,
                timeout=_NEXT_ADDRESS_DELAY_S if upcoming else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                failure = attempt.exception()
                if failure is not None:
                    failures.append(failure)
                elif winner is None:
                    winner = attempt.result()
                else:
                    attempt.result().close()
    finally:
        for attempt in attempts:
            attempt.cancel()
        for attempt in attempts:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                # Connected in the very turn it was cancelled in: nobody will use it.
                (await attempt).close()
    if winner is None:
        raise failures[0]
    return winner
