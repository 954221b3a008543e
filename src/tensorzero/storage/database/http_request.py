"""A request to the HTTP interface, taken apart: statement, parameters, settings, credentials."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final
from urllib.parse import parse_qsl
from uuid import uuid4

from tensorzero.storage.database.body import BodyError, decode_body, parse_form
from tensorzero.storage.database.statement import Statement, split_statement

DEFAULT_FORMAT: Final = "TabSeparated"
_PARAMETER: Final = "param_"
_EXTERNAL: Final = re.compile(r"(?P<table>.+?)_(?P<what>structure|types|format)\Z")

_NOT_SETTINGS: Final = frozenset(
    {
        # Of the protocol, not of the engine; sessions are not kept.
        *("query", "database", "default_format", "user", "password", "quota_key", "role"),
        *("query_id", "session_id", "session_timeout", "session_check", "stacktrace"),
        *("compress", "decompress", "buffer_size", "wait_end_of_query", "close_session"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        *("enable_http_compression", "http_zlib_compression_level", "client_protocol_version"),
        *("add_http_cors_header", "cancel_http_readonly_queries_on_client_close"),
        "http_response_headers",
    }
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user of the embedded database."""

    username: str
    password: str = field(repr=False)

    def match(self, username: str, password: str) -> bool:
        """In constant time, so that a guess learns nothing from how long it took."""
        same_user = compare_digest(username.encode(), self.username.encode())
        same_password = compare_digest(password.encode(), self.password.encode())
        return same_user and same_password


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """Data sent along with a query (``new_data`` in multipart requests)."""

    name: str
    structure: str
    format: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """What to run, and how. ``params`` are encoded texts without ``param_``."""

    statement: Statement
    database: str | None
    format: str
    params: Mapping[str, str]
    settings: Mapping[str, str]
    query_id: str
    wait_end: bool
    """The client wants the result only when it is complete (``wait_end_of_query``)."""
    external: tuple[ExternalTable, ...]


def given_credentials(
    headers: Mapping[str, str], query: Mapping[str, str]
) -> tuple[str, str] | None:
    """User and password by any of the three ways; None if the request names none."""
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return (
            _utf8(headers.get("x-clickhouse-user", "default")),
            _utf8(headers.get("x-clickhouse-key", "")),
        )
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        user, _, password = decoded.partition(":")
        return user, password
    if "user" in query or "password" in query:
        return query.get("user", "default"), query.get("password", "")
    return None


def parse_query_string(raw: bytes) -> dict[str, str]:
    """Query string → last value of each name. Raises BodyError (400) if it is not UTF-8."""
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict"))
    except (UnicodeDecodeError, ValueError):
        raise BodyError(400, "The query string is not percent-encoded UTF-8") from None


def parse_request(
    method: str,
    headers: Mapping[str, str],
    query: dict[str, str],
    body: bytes,
    limit_bytes: int,
) -> QueryRequest:
    """Put the request together. Raises BodyError, QueryError."""
    body = decode_body(body, headers.get("content-encoding", ""), limit_bytes)
    external: tuple[ExternalTable, ...] = ()
    content_type = headers.get("content-type", "")
    if content_type.lower().startswith("multipart/form-data"):
        form = parse_form(body, content_type)
        query = {**query, **form.fields}
        external = _external_tables(query, form.files)
        body = b""
    text = query.get("query", "").encode()
    # As the server does it: the parameter's text, a line end, then the body.
    source = text + b"\n" + body if text and body else text or body
    settings = {
        name: value
        for name, value in query.items()
        if name not in _NOT_SETTINGS
        and not name.startswith(_PARAMETER)
        and not any(_belongs_to(name, table) for table in external)
    }
    if method in ("GET", "HEAD"):
        settings["readonly"] = "2"
    statement = split_statement(source)
    return QueryRequest(
        statement=statement,
        database=query.get("database") or headers.get("x-clickhouse-database"),
        format=statement.format
        or query.get("default_format")
        or headers.get("x-clickhouse-format")
        or DEFAULT_FORMAT,
        params={
            name.removeprefix(_PARAMETER): value
            for name, value in query.items()
            if name.startswith(_PARAMETER)
        },
        settings=settings,
        query_id=query.get("query_id") or str(uuid4()),
        wait_end=query.get("wait_end_of_query", "0") not in ("0", "false", ""),
        external=external,
    )


def _external_tables(
    query: Mapping[str, str], files: Mapping[str, bytes]
) -> tuple[ExternalTable, ...]:
    tables = []
    for name, data in files.items():
        structure = query.get(f"{name}_structure")
        if structure is None:
            raise BodyError(400, f"The external table '{name}' has no '{name}_structure'")
        tables.append(
            ExternalTable(name, structure, query.get(f"{name}_format", "TabSeparated"), data)
        )
    return tuple(tables)


def _belongs_to(parameter: str, table: ExternalTable) -> bool:
    found = _EXTERNAL.match(parameter)
    return found is not None and found["table"] == table.name


def _utf8(header: str) -> str:
    """Header bytes arrive as Latin-1; clients mean UTF-8."""
    return header.encode("latin-1").decode("utf-8", errors="replace")
