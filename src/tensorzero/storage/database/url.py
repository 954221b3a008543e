"""``TENSORZERO_CLICKHOUSE_URL``: parsing, and what every call made of it carries."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tensorzero.storage.database.errors import DatabaseURLError

logger = logging.getLogger(__name__)

FORCED_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "input_format_skip_unknown_fields": "0",
        "input_format_null_as_default": "0",
        "output_format_json_quote_64bit_integers": "1",
    }
)
"""Sent with every call, whatever the URL says: rows that don't fit the table must fail."""

_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """A checked database address. Credentials stay out of ``repr``, ``str`` and ``origin``."""

    scheme: str
    host: str
    port: int
    database: str = "default"
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str) -> DatabaseURL:
        """Parse ``http[s]://[user[:pass]@]host[:port][/database][?setting=value&…]``.

        Raises DatabaseURLError with the contract's text. The URL itself is never quoted in an
        error: it may hold a password.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError as error:
            raise DatabaseURLError(
                f"Invalid ClickHouse URL: {_reason(error)}. "
                "Expected `http[s]://[user[:password]@]host[:port][/database]`"
            ) from None
        scheme = parts.scheme.lower()
        if scheme in ("clickhouse", "clickhousedb"):
            raise DatabaseURLError(
                f"Invalid scheme in ClickHouse URL: '{scheme}'. Use 'http' or 'https' instead."
            )
        if scheme not in ("http", "https"):
            raise DatabaseURLError(
                f"Invalid scheme in ClickHouse URL: '{scheme}'. "
                "Only 'http' and 'https' are supported."
            )
        if not parts.hostname:
            raise DatabaseURLError(
                "The ClickHouse URL has no host. "
                "Expected `http[s]://[user[:password]@]host[:port][/database]`"
            )
        segments = parts.path.removeprefix("/").removesuffix("/").split("/")
        if len(segments) > 1:
            raise DatabaseURLError(
                "The path of the ClickHouse URL must be of length 0 or 1, "
                "and end with the database name if set"
            )
        username, password, settings = _split_query(parts.query)
        if parts.username is not None:
            username = unquote(parts.username)
            password = unquote(parts.password) if parts.password is not None else None
        for name, value in (("user name", username), ("password", password)):
            if value is not None and any(ord(c) < 32 or ord(c) == 127 for c in value):
                raise DatabaseURLError(
                    f"The {name} in the ClickHouse URL contains a control character"
                )
        return cls(
            scheme=scheme,
            host=parts.hostname,
            port=port if port is not None else (443 if scheme == "https" else 80),
            database=unquote(segments[0]) or "default",
            username=username or None,
            password=password,
            settings=settings,
        )

    @property
    def origin(self) -> str:
        """``scheme://host:port``, without credentials: fit for logs and errors."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """The host is this machine by name or number; a proxy from the environment is wrong."""
        return self.host in _LOOPBACK_HOSTS or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"{self.origin}/{quote(self.database, safe='')}"

    def headers(self) -> dict[str, bytes]:
        """The credential headers, UTF-8 encoded; empty without a user."""
        if self.username is None:
            return {}
        return {
            "X-ClickHouse-User": self.username.encode(),
            "X-ClickHouse-Key": (self.password or "").encode(),
        }

    def query_params(self, *, with_database: bool = True) -> dict[str, str]:
        """Query string of every call: the database, the user's settings, the forced three."""
        params = {"database": self.database} if with_database else {}
        params.update(self.settings)
        params.update(FORCED_SETTINGS)
        return params


def _split_query(
    query: str,
) -> tuple[str | None, str | None, tuple[tuple[str, str], ...]]:
    """Split the URL's query into credentials (never sent on in a URL) and settings."""
    username: str | None = None
    password: str | None = None
    settings: dict[str, str] = {}
    dropped: list[str] = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "database":
            raise DatabaseURLError(
                "The query string 'database' is not allowed in the ClickHouse URL"
            )
        if name == "user":
            username = value
        elif name == "password":
            password = value
        elif name in FORCED_SETTINGS:
            if value != FORCED_SETTINGS[name]:
                dropped.append(name)
        else:
            settings[name] = value
    if dropped:
        logger.warning(
            "Ignoring settings of the ClickHouse URL that the gateway sets itself: %s",
            ", ".join(sorted(set(dropped))),
        )
    return username, password, tuple(settings.items())


def _reason(error: ValueError) -> str:
    """Name the fault without quoting the URL (``urlsplit`` quotes pieces of it)."""
    text = str(error)
    if "Port" in text or "port" in text:
        return "the port must be a number between 0 and 65535"
    if "IPv6" in text:
        return "the IPv6 address must be closed by ']'"
    return "it can't be split into scheme, host and path"
