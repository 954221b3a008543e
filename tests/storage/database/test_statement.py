"""Splitting a request body into statement, format and data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorzero.storage.database.errors import QueryError
from tensorzero.storage.database.statement import split_statement


@pytest.mark.parametrize(
    ("sql", "format_name"),
    [
        ("SELECT 1", None),
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("select 1\n format jsoneachrow ;", "jsoneachrow"),
        ("SELECT 1 FORMAT TSV SETTINGS max_threads = 1", "TSV"),
        ("SELECT 'FORMAT JSON'", None),
        ("SELECT 'it''s FORMAT JSON'", None),
        ("SELECT '\\' FORMAT JSON'", None),
        ("SELECT 1 -- FORMAT JSON\n", None),
        ("SELECT 1 /* FORMAT JSON */ FORMAT CSV", "CSV"),
        ("SELECT format('{}', 1)", None),
        ("SELECT * FROM format(JSONEachRow, '{}') FORMAT TSV", "TSV"),
        ("SELECT (SELECT 1 AS `FORMAT JSON`)", None),
        ("WITH x AS (SELECT 1) SELECT * FROM x FORMAT Native", "Native"),
    ],
)
def test_format_of_a_query(sql: str, format_name: str | None) -> None:
    statement = split_statement(sql.encode())
    assert statement.format == format_name
    assert statement.sql == sql
    assert statement.data is None


@pytest.mark.parametrize(
    ("body", "sql", "data"),
    [
        (b'INSERT INTO t FORMAT JSONEachRow\n{"a":1}', "INSERT INTO t ", b'{"a":1}'),
        (b"INSERT INTO t (a, `FORMAT x`) FORMAT Native\n\x01\x00", None, b"\x01\x00"),
        (b"insert into t settings async_insert=0 format TSV \r\n1\t2", None, b"1\t2"),
        (b"INSERT INTO t FORMAT JSONEachRow {}", None, b"{}"),
        (b"INSERT INTO t FORMAT RowBinary\n\n", None, b"\n"),
        (b"INSERT INTO t /* ' */ FORMAT CSV\n'; DROP TABLE t", None, b"'; DROP TABLE t"),
    ],
)
def test_data_of_an_insert(body: bytes, sql: str | None, data: bytes) -> None:
    statement = split_statement(body)
    assert statement.verb == "INSERT"
    assert statement.data is not None
    assert bytes(statement.data) == data
    assert statement.format in body.decode("latin-1")
    if sql is not None:
        assert statement.sql == sql


def test_settings_of_an_insert_stand_apart() -> None:
    statement = split_statement(
        b"INSERT INTO settings (a) SETTINGS x = 'FORMAT', y=1 FORMAT TSV\n1"
    )
    assert statement.sql == "INSERT INTO settings (a) "
    assert statement.settings_clause == "SETTINGS x = 'FORMAT', y=1 "
    assert (statement.format, bytes(statement.data or b"")) == ("TSV", b"1")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1), (2)",
        "INSERT INTO t FORMAT Values (1)",
        "INSERT INTO t SELECT 1 FORMAT TSV",
        "INSERT INTO t WITH 1 AS x SELECT x",
    ],
)
def test_inserts_run_as_text(sql: str) -> None:
    statement = split_statement(sql.encode())
    assert (statement.verb, statement.sql, statement.data) == ("INSERT", sql, None)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("", 62),
        (" \n-- nothing\n", 62),
        (";", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT 1; DROP TABLE t", 62),
        ("SELECT 1 INTO OUTFILE 'x'", 48),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", 48),
        (b"SELECT '\\xff'".replace(b"\\xff", b"\xff").decode("latin-1"), None),
    ],
)
def test_refusals(sql: str, code: int | None) -> None:
    if code is None:
        with pytest.raises(QueryError, match="UTF-8"):
            split_statement(sql.encode("latin-1"))
        return
    with pytest.raises(QueryError) as caught:
        split_statement(sql.encode())
    assert caught.value.code == code


def test_semicolons_in_strings_do_not_split() -> None:
    assert split_statement(b"SELECT 'a;b' ;").sql == "SELECT 'a;b' ;"


@given(st.binary(max_size=200))
def test_any_bytes_are_split_or_refused(body: bytes) -> None:
    try:
        statement = split_statement(body)
    except QueryError as error:
        assert error.code in (48, 62)
    else:
        assert statement.verb == statement.verb.upper()


@given(st.binary(max_size=100))
def test_insert_data_arrives_byte_for_byte(data: bytes) -> None:
    statement = split_statement(b"INSERT INTO t FORMAT Native\n" + data)
    assert statement.data is not None
    assert bytes(statement.data) == data
