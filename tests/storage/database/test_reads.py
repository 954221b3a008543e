"""The async client of gateway workers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tensorzero.storage.database.connection_file import USERNAME, write_connection
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseUnavailable, QueryError
from tensorzero.storage.database.http_interface import Server, serve
from tensorzero.storage.database.http_request import Credentials
from tensorzero.storage.database.reads import ReadClient
from tensorzero.storage.database.url import FORCED_SETTINGS, DatabaseURL

SLOW = "SELECT max(sipHash64(number)) AS m FROM numbers(100000000000)"


@asynccontextmanager
async def _served(db: EmbeddedDatabase, data_dir: Path, password: str) -> AsyncIterator[Server]:
    server = await serve(db, "127.0.0.1", 0, Credentials(USERNAME, password))
    (data_dir / "database").mkdir(parents=True, exist_ok=True)
    write_connection(data_dir, server.host, server.port, password)
    try:
        yield server
    finally:
        await server.close()


def _with_client(
    engine: EmbeddedDatabase, data_dir: Path, test: Callable[[ReadClient], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with _served(engine, data_dir, "secret"):
            client = ReadClient.for_data_dir(data_dir)
            try:
                await test(client)
            finally:
                await client.aclose()

    asyncio.run(main())


def test_rows_and_parameters(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def test(client: ReadClient) -> None:
        values: dict[str, Any] = {
            "s": "it's\t\\x\n\0é",
            "l": ["a'b", "c\\", "\n"],
            "n": 7,
            "u": UUID(int=5),
            "e": [],
            "z": None,
        }
        rows = await client.query(
            "SELECT {s:String} AS s, {l:Array(String)} AS l, {n:UInt64} AS n, {u:UUID} AS u, "
            "{e:Array(UUID)} AS e, {z:Nullable(String)} AS z",
            values,
        )
        assert rows == [{**values, "n": "7", "u": str(UUID(int=5))}]
        assert await client.query("SELECT 1 AS x WHERE 0") == []
        assert await client.ping()

    _with_client(engine, data_dir, test)


def test_a_parameter_longer_than_a_url(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def test(client: ReadClient) -> None:
        long = "é'\\" * 50_000
        assert await client.query("SELECT {x:String} AS x", {"x": long}) == [{"x": long}]

    _with_client(engine, data_dir, test)


def test_engine_errors_keep_code_and_text(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def test(client: ReadClient) -> None:
        with pytest.raises(QueryError) as caught:
            await client.query("SELECT * FROM nope")
        assert caught.value.code == 60
        assert caught.value.message.startswith("Code: 60. DB::Exception: ")
        assert "http" not in caught.value.message

    _with_client(engine, data_dir, test)


def _slow_queries(engine: EmbeddedDatabase) -> int:
    sql = "SELECT count() FROM system.processes WHERE query LIKE concat('%sipHash', '64%')"
    return int(engine.command(sql))


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_a_cancelled_task_ends_its_query(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def test(client: ReadClient) -> None:
        await client.query("SELECT 1")
        task = asyncio.create_task(client.query(SLOW))
        await _until(lambda: _slow_queries(engine) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _until(lambda: _slow_queries(engine) == 0)
        # And its thread is free again: as many queries as there are threads still run.
        answers = await asyncio.gather(*(client.query("SELECT 1 AS x") for _ in range(8)))
        assert answers == [[{"x": 1}]] * 8

    _with_client(engine, data_dir, test)


def test_closing_ends_what_runs(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def main() -> None:
        async with _served(engine, data_dir, "secret"):
            client = ReadClient.for_data_dir(data_dir, concurrency=1)
            running = asyncio.create_task(client.query(SLOW))
            waiting = asyncio.create_task(client.query("SELECT 1"))
            await _until(lambda: _slow_queries(engine) == 1)
            await client.aclose()
            for task in (running, waiting):
                with pytest.raises(DatabaseUnavailable):
                    await task
            await _until(lambda: _slow_queries(engine) == 0)

    asyncio.run(main())


def test_too_slow_is_unavailable(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def main() -> None:
        async with _served(engine, data_dir, "secret"):
            client = ReadClient.for_data_dir(data_dir, timeout_s=0.5)
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable, match=r"within 0\.5 s"):
                await client.query(SLOW)
            assert time.monotonic() - started < 3
            await client.aclose()

    asyncio.run(main())


def test_the_embedded_database_may_move(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def main() -> None:
        client = ReadClient.for_data_dir(data_dir)
        with pytest.raises(DatabaseUnavailable, match="not running"):
            await client.query("SELECT 1")
        assert not await client.ping()
        for password in ("first", "second"):
            async with _served(engine, data_dir, password):
                assert await client.query("SELECT 1 AS x") == [{"x": 1}]
                assert await client.ping()
        with pytest.raises(DatabaseUnavailable, match="can't be reached"):
            await client.query("SELECT 1")
        await client.aclose()
        with pytest.raises(DatabaseUnavailable, match="closed"):
            await client.query("SELECT 1")

    asyncio.run(main())


def test_a_database_that_was_away_at_first(engine: EmbeddedDatabase, data_dir: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        url = DatabaseURL.parse(f"http://{USERNAME}:secret@127.0.0.1:{port}")
        client = ReadClient(url)
        with pytest.raises(DatabaseUnavailable):
            await client.query("SELECT 1")
        server = await serve(engine, "127.0.0.1", port, Credentials(USERNAME, "secret"))
        assert await client.query("SELECT 1 AS x") == [{"x": 1}]
        await server.close()
        await client.aclose()

    asyncio.run(main())


def test_a_silent_server(data_dir: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = ReadClient(DatabaseURL.parse(f"http://127.0.0.1:{listener.getsockname()[1]}"))
            started = time.monotonic()
            assert not await client.ping(0.3)
            assert time.monotonic() - started < 2
            await client.aclose()

    asyncio.run(main())


def test_what_a_worker_sends(recording_server) -> None:  # type: ignore[no-untyped-def]  # fixture
    def script(request: Any) -> tuple[int, dict[str, str], bytes]:
        if "version()" in request.sql:
            return 200, {"X-ClickHouse-Format": "TabSeparated"}, b"25.8.1\tUTC\n"
        if "JSONEachRow" in request.sql:
            return 200, {}, b'{"x":1}\n'
        return 200, {}, b""

    recording_server.script = script

    async def main() -> None:
        url = f"http://us:p%3Aw@127.0.0.1:{recording_server.port}/tz?max_threads=3"
        client = ReadClient(DatabaseURL.parse(url))
        assert await client.query("SELECT 1 AS x") == [{"x": 1}]
        await client.aclose()

    asyncio.run(main())
    request = recording_server.requests[-1]
    assert request.headers["x-clickhouse-user"] == "us"
    assert request.headers["x-clickhouse-key"] == "p:w"
    assert "authorization" not in request.headers
    assert "session_id" not in request.settings
    for name, value in {"database": "tz", "max_threads": "3", **FORCED_SETTINGS}.items():
        assert request.settings[name] == value
    for sent in recording_server.requests:
        assert "p:w" not in str(sent.query)
