"""What is sent to a server, byte for byte, and how its answers are understood."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import (
    DatabaseUnavailable,
    QueryError,
    RowsRejected,
    SinkUnavailable,
)
from tensorzero.storage.database.http_interface import Server, serve
from tensorzero.storage.database.http_request import Credentials
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import FORCED_SETTINGS, DatabaseURL


@pytest.fixture
def remote(recording_server) -> Iterator[RemoteDatabase]:  # type: ignore[no-untyped-def]  # fixture
    url = (
        f"http://us%C3%A9r:p%20w@127.0.0.1:{recording_server.port}/tz?max_threads=3&async_insert=1"
    )
    with RemoteDatabase(DatabaseURL.parse(url)) as db:
        yield db


def test_an_insert_on_the_wire(remote, recording_server) -> None:  # type: ignore[no-untyped-def]  # fixtures
    remote.insert("ChatInference", b'{"id":"1"}\n{"id":"2"}', 2, token="abc")
    (request,) = recording_server.requests
    assert (request.method, request.path) == ("POST", "/")
    assert request.body == b'{"id":"1"}\n{"id":"2"}'
    assert request.settings == {
        "database": "tz",
        "max_threads": "3",
        **FORCED_SETTINGS,
        "async_insert": "0",
        "deduplicate_blocks_in_dependent_materialized_views": "1",
        "input_format_parallel_parsing": "0",
        "max_insert_block_size": "1000000",
        "min_insert_block_size_rows": "1000000",
        "min_insert_block_size_bytes": "1000000000",
        "insert_deduplication_token": "abc",
        "wait_end_of_query": "1",
        "query": "INSERT INTO ChatInference FORMAT JSONEachRow",
    }
    assert request.headers["x-clickhouse-user"].encode("latin-1") == "usér".encode()
    assert request.headers["x-clickhouse-key"] == "p w"
    assert "authorization" not in request.headers


def test_a_query_on_the_wire(remote, recording_server) -> None:  # type: ignore[no-untyped-def]  # fixtures
    recording_server.script = lambda _: (200, {}, b'{"a":"1"}\n{"a":"2"}\n')
    assert remote.query_json("SELECT a FROM t WHERE b = {b:String}", {"b": "x\ty"}) == [
        {"a": "1"},
        {"a": "2"},
    ]
    (request,) = recording_server.requests
    assert request.body == b"SELECT a FROM t WHERE b = {b:String}\nFORMAT JSONEachRow"
    assert request.settings["param_b"] == "x\\ty"
    for name, value in {
        "mutations_sync": "2",
        "alter_sync": "2",
        "join_algorithm": "auto",
        "database": "tz",
        **FORCED_SETTINGS,
    }.items():
        assert request.settings[name] == value
    remote.command("CREATE DATABASE IF NOT EXISTS tz", in_database=False)
    assert "database" not in recording_server.requests[-1].settings


@pytest.mark.parametrize(
    ("status", "code", "text", "kind", "row"),
    [
        (400, "27", "Code: 27. DB::Exception: no: (at row 3)\n", RowsRejected, 2),
        (
            400,
            "117",
            "Code: 117. DB::Exception: Unknown field: y: (at row 1)",
            SinkUnavailable,
            None,
        ),
        (400, "53", "Code: 53. DB::Exception: type", RowsRejected, None),
        (404, "60", "Code: 60. DB::Exception: no table", SinkUnavailable, None),
        (500, "241", "Code: 241. DB::Exception: memory", SinkUnavailable, None),
        (500, "243", "Code: 243. DB::Exception: disk", SinkUnavailable, None),
        (403, "516", "Code: 516. DB::Exception: password", SinkUnavailable, None),
        (200, "27", "Code: 27. DB::Exception: late (at row 2)", RowsRejected, 1),
        (502, None, "<html>Bad gateway</html>", SinkUnavailable, None),
        (404, None, "Code: 60. DB::Exception: by a proxy", SinkUnavailable, None),
        (301, None, "", SinkUnavailable, None),
    ],
)
def test_answers_to_inserts(  # type: ignore[no-untyped-def]  # fixtures
    remote, recording_server, status, code, text, kind, row
) -> None:
    headers = {"X-ClickHouse-Exception-Code": code} if code else {}
    recording_server.script = lambda _: (status, headers, text.encode())
    with pytest.raises(kind) as caught:
        remote.insert("t", b"{}", 1, token="t")
    assert type(caught.value) is kind
    assert "p w" not in str(caught.value)
    if kind is RowsRejected:
        assert caught.value.row_index == row


def test_ping(remote, recording_server) -> None:  # type: ignore[no-untyped-def]  # fixtures
    remote.ping()
    assert [(r.method, r.path) for r in recording_server.requests] == [("GET", "/ping")]
    recording_server.script = lambda _: (503, {}, b"")
    with pytest.raises(DatabaseUnavailable, match="503"):
        remote.ping()


def test_stack_traces_are_cut_off(remote, recording_server) -> None:  # type: ignore[no-untyped-def]  # fixtures
    recording_server.script = lambda _: (
        500,
        {"X-ClickHouse-Exception-Code": "1"},
        b"Code: 1. DB::Exception: no. Stack trace:\n\n0. DB::f()\n1. main",
    )
    with pytest.raises(QueryError) as caught:
        remote.command("SELECT 1")
    assert caught.value.message == "Code: 1. DB::Exception: no."


def _refusing_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_nobody_there() -> None:
    with RemoteDatabase(DatabaseURL.parse(f"http://u:p@127.0.0.1:{_refusing_port()}")) as db:
        with pytest.raises(DatabaseUnavailable, match="can't be reached"):
            db.ping()
        with pytest.raises(SinkUnavailable):
            db.insert("t", b"{}", 1, token="t")
        with pytest.raises(DatabaseUnavailable):
            db.command("SELECT 1")


def test_a_connection_that_breaks_is_in_doubt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = DatabaseURL.parse(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with RemoteDatabase(url) as db, pytest.raises(SinkUnavailable, match="broke"):
            db.insert("t", b"{}", 1, token="t")
        thread.join()


def test_a_silent_server_does_not_hold_the_ping() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = DatabaseURL.parse(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with RemoteDatabase(url) as db, pytest.raises(DatabaseUnavailable, match="in time"):
            db.ping()


def test_against_the_real_engine(engine: EmbeddedDatabase) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server: Server = asyncio.run_coroutine_threadsafe(
        serve(engine, "127.0.0.1", 0, Credentials("u", "p")), loop
    ).result(10)
    try:
        with RemoteDatabase(DatabaseURL.parse(f"http://u:p@127.0.0.1:{server.port}")) as db:
            db.ping()
            db.command(
                "CREATE TABLE r (n UInt32) ENGINE = MergeTree ORDER BY n "
                "SETTINGS non_replicated_deduplication_window = 10"
            )
            for _ in range(3):
                db.insert("r", b'{"n":1}\n{"n":2}', 2, token="same")
            with pytest.raises(RowsRejected) as caught:
                db.insert("r", b'{"n":1}\n{"n":"x"}', 2, token="bad")
            assert caught.value.row_index == 1
            with pytest.raises(SinkUnavailable):
                db.insert("absent", b'{"n":1}', 1, token="t")
            assert db.query_json("SELECT count() AS c FROM r") == [{"c": "2"}]
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
