"""``tensorzero query "SELECT …"``: reads the database, running gateway or not."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import httpx

from tensorzero.cli.data_dir import data_dir
from tensorzero.server.children import StartError
from tensorzero.server.slot import take_slot
from tensorzero.storage.database.connection_file import read_connection
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings

LIMITS = {"max_execution_time": "60", "max_memory_usage": "2000000000"}
DRAIN_S = 60.0


def add_to(commands: Any) -> None:
    parser = commands.add_parser("query", help="run one SQL query on the recorded data")
    parser.add_argument("sql", help='for example "SELECT * FROM ChatInference"')
    parser.add_argument("--data-dir", metavar="DIR", help="also TENSORZERO_DATA_DIR; ./data")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        sys.stdout.buffer.write(_query(arguments))
        sys.stdout.buffer.flush()
    except (DatabaseError, StartError, OSError, httpx.HTTPError) as error:
        print(f"tensorzero query: {error}", file=sys.stderr)
        return 1
    return 0


def _format() -> str:
    return "PrettyCompact" if sys.stdout.isatty() else "TSV"


def _query(arguments: argparse.Namespace) -> bytes:
    url = os.environ.get("TENSORZERO_CLICKHOUSE_URL")
    if url:
        return _over_http(DatabaseURL.parse(url), arguments.sql)
    directory = data_dir(arguments.data_dir)
    running = read_connection(directory)
    if running is not None:
        try:
            return _over_http(running, arguments.sql)
        except httpx.ConnectError:
            pass  # left behind by a gateway that was killed
    return asyncio.run(_offline(directory, arguments.sql))


def _over_http(url: DatabaseURL, sql: str) -> bytes:
    params = {**url.query_params(), **LIMITS, "default_format": _format()}
    headers = {name: value.decode() for name, value in url.headers().items()}
    response = httpx.post(
        f"{url.origin}/", params=params, headers=headers, content=sql.encode(), timeout=75.0
    )
    if response.status_code != 200:
        raise DatabaseError(response.text.strip())
    return response.content


async def _offline(directory: Path, sql: str) -> bytes:
    """Take the lock, drain the spool, then read."""
    spool, slot = take_slot(directory, shared=False)
    database = EmbeddedDatabase.open(directory)
    try:
        shipper = Shipper(
            spool_root=spool,
            quarantine=directory / "quarantine",
            sink=database,
            settings=ShipperSettings(),
        )
        waiting = await shipper.drain(DRAIN_S)
        if waiting:
            print(f"{waiting} rows are still in the spool", file=sys.stderr)
        with database.session(LIMITS) as session:
            explicit = re.search(r"\bformat\s+\w+\s*;?\s*$", sql, re.IGNORECASE)
            result: bytes = session.query(
                sql, explicit.group().split()[1] if explicit else _format()
            )
            return result
    finally:
        database.close()
        os.close(slot)
