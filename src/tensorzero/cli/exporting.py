"""What ``tensorzero export`` does: slice after slice, each read whole before it is written."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from tensorzero.cli.connection import on_database, run_command
from tensorzero.cli.export import FORMATS
from tensorzero.cli.export_files import Table, open_table, opened
from tensorzero.cli.moments import milliseconds
from tensorzero.cli.results import stream
from tensorzero.server.children import StartError
from tensorzero.storage.database.errors import QueryError
from tensorzero.storage.database.parameters import Parameter
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.export.query import (
    COUNT,
    METRICS,
    NEXT_SLICE,
    SETTINGS,
    Metric,
    Selection,
    column_names,
    first_id_at,
    metrics_of,
    slice_query,
)

SLICE_ROWS = 20_000
SLICE_MEMORY_BYTES = 32 * 1024 * 1024
"""Of a slice's result; more of it waits in a temporary file."""
TIME_LIMIT_S = 120
MEMORY_LIMIT_BYTES = 512 * 1024 * 1024
_TOO_LARGE = (158, 241, 307, 396)
"""TOO_MANY_ROWS, MEMORY_LIMIT_EXCEEDED, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES."""
_SHOWN_EVERY_S = 0.5


def run(arguments: argparse.Namespace) -> int:
    """Write the file; returns the exit status."""
    return run_command("export", _export(arguments))


async def _export(arguments: argparse.Namespace) -> None:
    suffix = arguments.output.suffix.lower().lstrip(".") if arguments.output else ""
    file_format = arguments.format or (suffix if suffix in FORMATS else "jsonl")
    if arguments.output is None and file_format == "parquet" and sys.stdout.isatty():
        raise StartError("parquet is no text; use `--output FILE`, or a pipe")
    since = 0 if arguments.since is None else milliseconds(arguments.since)
    until = milliseconds(arguments.until or datetime.now(UTC))
    selection = Selection(
        arguments.function, max(0, first_id_at(since) - 1), first_id_at(until) - 1
    )
    with opened(arguments.output) as output:
        export = Export(selection, file_format, output)
        await on_database(arguments.data_dir, export.run)
        export.close()


class Export:
    """An export under way; ``run`` goes on where it was when it is called again."""

    def __init__(self, selection: Selection, file_format: str, output: Any) -> None:
        self._left = selection
        self._format = file_format
        self._output = output
        self._metrics: tuple[Metric, ...] = ()
        self._table: Table | None = None
        self._rows = SLICE_ROWS
        self._progress = Progress()

    async def run(self, url: DatabaseURL) -> None:
        """Write everything that is left. Raises ``StartError``, ``DatabaseError``, ``OSError``."""
        if self._table is None:
            await self._begin(url)
        while True:
            found = await _rows(url, NEXT_SLICE, {**self._left.params(), "rows": self._rows})
            if not int(found[0]["found"]):
                return
            chosen = replace(self._left, until=int(found[0]["last"]))
            if await self._add(url, chosen):
                self._left = replace(self._left, after=chosen.until)
                self._progress.add(int(found[0]["found"]))

    async def _begin(self, url: DatabaseURL) -> None:
        counted = await _rows(url, COUNT, self._left.params())
        self._progress.total = int(counted[0]["found"])
        if not self._progress.total:
            self._refuse_unknown(
                await _rows(
                    url, "SELECT DISTINCT function_name FROM InferenceById ORDER BY 1 LIMIT 100", {}
                )
            )
        self._metrics = metrics_of(
            await _rows(url, METRICS, {"function": self._left.function_name})
        )
        self._table = open_table(self._output, self._format, column_names(self._metrics))
        if not self._progress.total:
            await self._add(url, replace(self._left, until=self._left.after))

    def _refuse_unknown(self, rows: list[dict[str, Any]]) -> None:
        names = [row["function_name"] for row in rows]
        if self._left.function_name not in names:
            known = ", ".join(names) if names else "none"
            raise StartError(
                f"no inference of a function `{self._left.function_name}` has been recorded "
                f"(functions with inferences: {known})"
            )

    async def _add(self, url: DatabaseURL, chosen: Selection) -> bool:
        """Write a slice; if it is too large for the database's limits, have them smaller."""
        assert self._table is not None
        sql, params = slice_query(chosen, self._metrics, flat=self._format == "csv")
        settings = {
            **SETTINGS,
            "max_memory_usage": str(MEMORY_LIMIT_BYTES),
            "default_format": self._table.engine_format,
            "wait_end_of_query": "1",
        }
        with SpooledTemporaryFile(SLICE_MEMORY_BYTES) as whole:
            result = stream(url, sql, settings, params, time_limit_s=TIME_LIMIT_S)
            try:
                async with contextlib.aclosing(result):
                    async for piece in result:
                        whole.write(piece)
            except QueryError as error:
                if error.code not in _TOO_LARGE or self._rows == 1:
                    raise
                self._rows = max(1, self._rows // 4)
                return False
            whole.seek(0)
            self._table.add(whole)
        return True

    def close(self) -> None:
        """Complete the file."""
        if self._table is not None:
            self._table.close()
        self._progress.close()


class Progress:
    """A line on standard error when that is a terminal."""

    def __init__(self) -> None:
        self.total = 0
        self._done = 0
        self._began = time.monotonic()
        self._shown = self._began
        self._terminal = sys.stderr.isatty()

    def add(self, rows: int) -> None:
        self._done += rows
        now = time.monotonic()
        if self._terminal and now - self._shown >= _SHOWN_EVERY_S:
            self._shown = now
            share = 100 * self._done // max(1, self.total)
            rate = self._done / (now - self._began)
            print(
                f"\r{self._done:,} of {self.total:,} inferences ({share} %), {rate:,.0f}/s ",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        if self._terminal:
            seconds = time.monotonic() - self._began
            print(f"\r{self._done:,} inferences in {seconds:.1f} s{' ' * 30}", file=sys.stderr)


async def _rows(url: DatabaseURL, sql: str, params: dict[str, Parameter]) -> list[dict[str, Any]]:
    settings = {"default_format": "JSONEachRow", "wait_end_of_query": "1"}
    body = b""
    async for piece in stream(url, sql, settings, params, time_limit_s=TIME_LIMIT_S):
        body += piece
    return [orjson.loads(line) for line in body.splitlines()]
