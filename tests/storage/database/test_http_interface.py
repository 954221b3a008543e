"""The ClickHouse HTTP protocol on the embedded engine, over real sockets, with real clients."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import clickhouse_connect
import httpx
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.http_execution import Limits
from tensorzero.storage.database.http_interface import Server, serve
from tensorzero.storage.database.http_request import Credentials

USER, PASSWORD = "tensorzero", "pässword"
HEADERS = {"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD.encode()}
LIMITS = Limits(
    max_body_bytes=4_000_000,
    max_result_bytes=2_000_000,
    max_spooled_bytes=50_000_000,
    max_execution_s=20,
    max_running=3,
    max_waiting=4,
    send_timeout_s=1.0,
)


class _Hosted:
    """The interface on an event loop of its own, as the shipper's process hosts it."""

    def __init__(self, db: EmbeddedDatabase) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server: Server = self._run(
            serve(db, "127.0.0.1", 0, Credentials(USER, PASSWORD), LIMITS)
        )

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self) -> None:
        self._run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def url(engine: EmbeddedDatabase) -> Iterator[str]:
    engine.command(
        "CREATE TABLE t (a UInt32, b String, c Array(UUID), d Map(String, String)) "
        "ENGINE = MergeTree ORDER BY a"
    )
    hosted = _Hosted(engine)
    yield hosted.server.url
    hosted.close()


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers=httpx.Headers(HEADERS), timeout=30) as client:
        yield client


@pytest.fixture
def empty(engine: EmbeddedDatabase, url: str) -> None:
    engine.command("TRUNCATE TABLE t")


def _running(engine: EmbeddedDatabase) -> int:
    # The pattern is put together in the query, so that the query does not find itself.
    sql = "SELECT count() FROM system.processes WHERE query LIKE concat('%sipHash', '64%')"
    return int(engine.command(sql))


def test_ping_needs_no_credentials(url: str) -> None:
    for path in ("/ping", "/replicas_status", "/"):
        answer = httpx.get(url + path)
        assert (answer.status_code, answer.text) == (200, "Ok.\n")


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    assert client.get("/nope").status_code == 404
    assert client.delete("/").status_code == 501


@pytest.mark.parametrize(
    "send",
    [
        {"headers": httpx.Headers(HEADERS)},
        {"auth": httpx.BasicAuth(USER, PASSWORD)},
        {"params": {"user": USER, "password": PASSWORD}},
    ],
)
def test_three_ways_to_log_in(url: str, send: dict[str, Any]) -> None:
    answer = httpx.post(url, content="SELECT 1", **send)
    assert (answer.status_code, answer.text) == (200, "1\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-ClickHouse-User": USER}, 403),
        ({"X-ClickHouse-User": USER, "X-ClickHouse-Key": "wrong"}, 403),
        ({"X-ClickHouse-User": "default", "X-ClickHouse-Key": ""}, 403),
        ({"Authorization": "Basic ???"}, 403),
        ({"Authorization": "Bearer x"}, 401),
    ],
)
def test_wrong_credentials(url: str, headers: dict[str, str], status: int) -> None:
    answer = httpx.post(url, content="SELECT 1", headers=headers)
    assert answer.status_code == status
    assert answer.headers["x-clickhouse-exception-code"] == "516"
    assert "AUTHENTICATION_FAILED" in answer.text


def test_query_in_the_url_the_body_or_both(client: httpx.Client) -> None:
    assert client.get("/", params={"query": "SELECT 1"}).text == "1\n"
    assert client.post("/", content="SELECT 2").text == "2\n"
    assert client.post("/", params={"query": "SELECT"}, content="3").text == "3\n"


def test_formats_parameters_and_settings(client: httpx.Client) -> None:
    answer = client.post(
        "/",
        params={
            "param_x": "a\\tb",
            "default_format": "JSONEachRow",
            "database": "default",
            "output_format_json_quote_64bit_integers": "1",
        },
        content="SELECT {x:String} AS x, toUInt64(1) AS n, currentDatabase() AS d",
    )
    assert answer.json() == {"x": "a\tb", "n": "1", "d": "default"}
    assert answer.headers["x-clickhouse-format"] == "JSONEachRow"
    assert answer.headers["x-clickhouse-timezone"]
    assert "x-clickhouse-query-id" in answer.headers
    explicit = client.post("/", content="SELECT 1 AS x FORMAT JSON")
    assert explicit.headers["content-type"].startswith("application/json")
    assert explicit.json()["data"] == [{"x": 1}]
    assert client.post("/", content="SELECT 1 AS x FORMAT CSVWithNames").text == '"x"\n1\n'


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT 1 INTO OUTFILE 'x'", 501, 48),
        ("SELECT * FROM nope", 404, 60),
        ("SELECT nope", 404, 47),
        ("SELECT nope(1)", 404, 46),
        ("SELECT {x:String}", 400, 456),
        ("SELECT 1 FORMAT Nope", 404, 73),
        ("SELECT throwIf(1)", 500, 395),
        ("", 400, 62),
    ],
)
def test_exceptions_have_status_code_and_text(
    client: httpx.Client, sql: str, status: int, code: int
) -> None:
    answer = client.post("/", content=sql)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (
        status,
        str(code),
    )
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "Stack trace" not in answer.text
    assert client.post("/", content="SELECT 1").text == "1\n"


def test_unknown_settings_and_databases(client: httpx.Client) -> None:
    answer = client.post("/", params={"nope": "1"}, content="SELECT 1")
    assert answer.headers["x-clickhouse-exception-code"] == "115"
    answer = client.post("/", params={"database": "nope`"}, content="SELECT 1")
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (404, "81")


def test_a_get_changes_nothing(client: httpx.Client) -> None:
    answer = client.get("/", params={"query": "CREATE TABLE nope (a Int8) ENGINE = Memory"})
    assert answer.headers["x-clickhouse-exception-code"] == "164"
    answer = client.get("/", params={"query": "SELECT 1", "readonly": "0", "max_threads": "1"})
    assert answer.text == "1\n"


def test_settings_end_with_their_request(client: httpx.Client) -> None:
    sql = "SELECT getSetting('max_threads')"
    assert client.post("/", params={"max_threads": "1"}, content=sql).text == "1\n"
    assert client.post("/", content=sql).text == "2\n"


ROWS = b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'
COUNT = "SELECT count(), sum(a) FROM t"


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("lz4", lambda data: pytest.importorskip("lz4.frame").compress(data)),
    ],
)
def test_inserts_in_both_forms_and_all_encodings(
    client: httpx.Client, encoding: str, encode: Any
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    statement = "INSERT INTO t FORMAT JSONEachRow"
    answer = client.post("/", params={"query": statement}, content=encode(ROWS), headers=headers)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "2"
    body = encode(statement.encode() + b"\n" + ROWS)
    assert client.post("/", content=body, headers=headers).status_code == 200
    assert client.post("/", content=COUNT).text == "4\t6\n"


@pytest.mark.usefixtures("empty")
def test_settings_inside_an_insert(client: httpx.Client) -> None:
    body = b"INSERT INTO t SETTINGS input_format_skip_unknown_fields = %d FORMAT JSONEachRow\n%b"
    row = b'{"a":1,"nope":2}'
    assert client.post("/", content=body % (0, row)).status_code == 500
    assert client.post("/", content=body % (1, row)).status_code == 200
    assert client.post("/", content=COUNT).text == "1\t1\n"


@pytest.mark.usefixtures("empty")
def test_an_insert_with_a_bad_row_inserts_nothing(client: httpx.Client) -> None:
    for row in (b'{"a":"x"}', b'{"nope":1}', b'{"b":null}'):
        answer = client.post(
            "/",
            params={
                "query": "INSERT INTO t FORMAT JSONEachRow",
                "input_format_skip_unknown_fields": "0",
                "input_format_null_as_default": "0",
            },
            content=ROWS + row,
        )
        assert answer.status_code >= 400
        assert "(at row 3)" in answer.text
    assert client.post("/", content=COUNT).text == "0\t0\n"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4", "br", "nope"])
def test_damaged_bodies(client: httpx.Client, encoding: str) -> None:
    answer = client.post("/", content=b"not it", headers={"Content-Encoding": encoding})
    assert answer.status_code == 400
    assert encoding in answer.text or "damaged" in answer.text


def test_bodies_are_bounded_before_and_after_decompression(client: httpx.Client) -> None:
    assert client.post("/", content=b" " * 4_000_001).status_code == 413
    bomb = gzip.compress(b" " * 50_000_000)
    answer = client.post("/", content=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    chunks = (b" " * 1_000_000 for _ in range(10))
    assert client.post("/", content=chunks).status_code == 413


def test_external_tables(client: httpx.Client) -> None:
    answer = client.post(
        "/",
        params={"new_data_structure": "a UInt32, b String", "new_data_format": "JSONEachRow"},
        data={"query": "SELECT sum(a), any(b) FROM new_data WHERE b != {x:String}", "param_x": "q"},
        files={"new_data": ("file", b'{"a":3,"b":"z"}\n{"a":4,"b":"q"}')},
    )
    assert answer.text == "3\tz\n", answer.text


def test_clickhouse_connect(url: str) -> None:
    port = int(url.rsplit(":", 1)[1])
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=port, username=USER, password=PASSWORD
    ) as client:
        client.command("TRUNCATE TABLE t")
        ids = [uuid.uuid4(), uuid.uuid4()]
        summary = client.insert(
            "t",
            [[1, "x", ids, {"k": "v"}], [2, "y\n\0é", [], {}]],
            column_names=["a", "b", "c", "d"],
        )
        assert summary.written_rows == 2
        result = client.query(
            "SELECT * FROM t WHERE a IN {ids:Array(UInt32)} ORDER BY a",
            parameters={"ids": [1, 2]},
        )
        assert result.result_rows == [(1, "x", ids, {"k": "v"}), (2, "y\n\0é", [], {})]
        assert client.command("SELECT count() FROM t") == 2
        nothing = client.query("SELECT a, b FROM t WHERE a = 7")
        assert (nothing.column_names, nothing.result_rows) == (("a", "b"), [])
        assert client.query("SELECT number FROM numbers(500000)").row_count == 500_000
        with client.query_row_block_stream("SELECT number FROM numbers(300000)") as stream:
            assert sum(len(block) for block in stream) == 300_000
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="395"):
            client.query("SELECT throwIf(number = 400000) FROM numbers(500000)")
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="60"):
            client.query("SELECT * FROM nope")
        long = "x" * 300_000
        assert client.query("SELECT {x:String}", parameters={"x": long}).first_row == (long,)


def test_an_error_in_mid_result_never_looks_like_an_end(client: httpx.Client) -> None:
    sql = "SELECT throwIf(number = 2000000) FROM numbers(3000000)"
    received = b""
    with pytest.raises(httpx.RemoteProtocolError), client.stream("POST", "/", content=sql) as it:
        tag = it.headers["x-clickhouse-exception-tag"]
        for piece in it.iter_raw():
            received += piece
    assert f"__exception__\r\n{tag}".encode() in received[-1000:]
    waited = client.post("/", params={"wait_end_of_query": "1"}, content=sql)
    assert (waited.status_code, waited.headers["x-clickhouse-exception-code"]) == (500, "395")


def test_large_results(client: httpx.Client) -> None:
    numbers = client.post("/", content="SELECT number FROM numbers(1000000)").text
    assert numbers.count("\n") == 1_000_000
    waited = client.post(
        "/", params={"wait_end_of_query": "1"}, content="SELECT number FROM numbers(1000000)"
    )
    assert waited.text == numbers
    too_large = client.post(
        "/",
        params={"wait_end_of_query": "1"},
        content="SELECT number, number, number FROM numbers(10000000)",
    )
    assert too_large.headers["x-clickhouse-exception-code"] == "396"
    whole = client.post("/", content="SELECT number FROM numbers(1000000) FORMAT JSON")
    assert whole.headers["x-clickhouse-exception-code"] == "396"


SLOW = "SELECT max(sipHash64(number)) FROM numbers(100000000000)"


def _wait_for(condition: Any, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_time_is_limited_whatever_the_caller_asks(client: httpx.Client) -> None:
    answer = client.post("/", params={"max_execution_time": "0.3"}, content=SLOW)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (408, "159")
    shown = client.post(
        "/",
        params={"max_execution_time": "0"},
        content="SELECT getSetting('max_execution_time')",
    )
    assert shown.text == "20\n"


@pytest.mark.parametrize("asked", [{}, {"max_memory_usage": "0"}, {"max_memory_usage": "1e12"}])
def test_memory_is_limited_whatever_the_caller_asks(
    client: httpx.Client, asked: dict[str, str]
) -> None:
    sql = "SELECT length(groupArray(number)) FROM numbers(300000000)"
    answer = client.post("/", params={"query": sql, **asked})
    assert answer.headers["x-clickhouse-exception-code"] == "241"
    assert client.post("/", content="SELECT 1").text == "1\n"


def test_a_query_ends_when_its_caller_leaves(url: str, engine: EmbeddedDatabase) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, content=SLOW, headers=httpx.Headers(HEADERS), timeout=0.5)
    _wait_for(lambda: _running(engine) == 0)


def test_a_reader_that_does_not_read_is_cut_off(url: str, client: httpx.Client) -> None:
    import socket

    host, port = url.removeprefix("http://").split(":")
    sql = b"SELECT number FROM numbers(1000000000)"
    sockets = []
    for _ in range(LIMITS.max_running):
        reader = socket.create_connection((host, int(port)))
        auth = httpx.BasicAuth(USER, PASSWORD)._auth_header.encode()
        reader.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (auth, len(sql), sql)
        )
        sockets.append(reader)
    started = time.monotonic()
    assert client.post("/", content="SELECT 1").text == "1\n"
    assert time.monotonic() - started < 10
    for reader in sockets:
        reader.close()


def test_too_many_queries_are_refused_not_queued_for_ever(
    url: str, engine: EmbeddedDatabase
) -> None:
    def slow(_: int) -> int:
        return httpx.post(
            url,
            params={"max_execution_time": "0.7"},
            content=SLOW,
            headers=httpx.Headers(HEADERS),
            timeout=30,
        ).status_code

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(slow, range(12)))
    assert statuses.count(503) == 12 - LIMITS.max_running - LIMITS.max_waiting
    assert statuses.count(408) == LIMITS.max_running + LIMITS.max_waiting


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=200),
    query=st.binary(max_size=50),
    content_type=st.sampled_from(["", "text/plain", "multipart/form-data; boundary=b"]),
)
def test_garbage_gets_an_answer_and_the_next_request_works(
    client: httpx.Client, body: bytes, query: bytes, content_type: str
) -> None:
    raw = "/?" + "".join(chr(b) if chr(b).isalnum() else f"%{b:02x}" for b in query)
    answer = client.post(raw, content=body, headers={"Content-Type": content_type})
    assert answer.status_code in (200, 400, 404, 500, 501)
    assert client.post("/", content="SELECT 1").text == "1\n"


def test_stopping_ends_what_runs(engine: EmbeddedDatabase) -> None:
    hosted = _Hosted(engine)
    outcome: list[Any] = []

    def slow() -> None:
        try:
            outcome.append(
                httpx.post(
                    hosted.server.url, content=SLOW, headers=httpx.Headers(HEADERS), timeout=30
                ).status_code
            )
        except httpx.HTTPError as error:
            outcome.append(error)

    caller = threading.Thread(target=slow)
    caller.start()
    _wait_for(lambda: _running(engine) == 1)
    started = time.monotonic()
    hosted.close()
    assert time.monotonic() - started < 5
    caller.join()
    assert len(outcome) == 1
    assert _running(engine) == 0
