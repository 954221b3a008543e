"""What ``tensorzero query`` does."""

from __future__ import annotations

import argparse
import contextlib
import sys

from tensorzero.cli.connection import on_database, run_command
from tensorzero.cli.environment import clickhouse_url
from tensorzero.cli.query import MEMORY_LIMIT_BYTES, READS, SHORT_FORMATS, TIME_LIMIT_S
from tensorzero.cli.results import stream
from tensorzero.server.children import StartError
from tensorzero.storage.database.statement import split_statement
from tensorzero.storage.database.url import DatabaseURL

_BINARY = ("parquet", "arrow", "native", "orc", "avro", "rowbinary", "msgpack", "bson", "protobuf")


def run(arguments: argparse.Namespace) -> int:
    """Print the result; returns the exit status."""
    return run_command("query", _query(arguments))


async def _query(arguments: argparse.Namespace) -> None:
    output_format = _format(arguments.sql, arguments.format)
    settings = {
        "max_memory_usage": str(MEMORY_LIMIT_BYTES),
        "default_format": output_format,
    }
    if clickhouse_url() is not None:
        # A server may append an error in mid-result as if it were more of it.
        settings["wait_end_of_query"] = "1"

    async def show(url: DatabaseURL) -> None:
        out = sys.stdout.buffer
        result = stream(url, arguments.sql, settings, time_limit_s=TIME_LIMIT_S)
        try:
            async with contextlib.aclosing(result):
                async for piece in result:
                    out.write(piece)
        finally:
            out.flush()

    await on_database(arguments.data_dir, show)


def _format(sql: str, wanted: str | None) -> str:
    """The format of a result whose query names none. Raises ``StartError`` on a query that would
    write (the database refuses it, too) and on bytes for a terminal."""
    statement = split_statement(sql.encode())
    if statement.verb and not statement.is_read:
        raise StartError(f"`{statement.verb}` is refused: this command only reads ({READS})")
    terminal = sys.stdout.isatty()
    chosen = SHORT_FORMATS.get((wanted or ("table" if terminal else "tsv")).lower(), wanted)
    effective = statement.format or chosen or ""
    if terminal and effective.lower().startswith(_BINARY):
        raise StartError(f"{effective} is no text; send it to a file or a pipe")
    return chosen or ""
