"""What ``tensorzero prune`` does: says what goes, asks, does it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime

from tensorzero.cli.connection import Unreachable, on_database, run_command
from tensorzero.cli.environment import CLICKHOUSE_CLUSTER, clickhouse_url
from tensorzero.cli.moments import milliseconds
from tensorzero.server.children import StartError
from tensorzero.storage.database.errors import DatabaseUnavailable
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.prune.execution import Prune, Share
from tensorzero.storage.prune.plan import Scope
from tensorzero.types.sizes import bytes_text


def run(arguments: argparse.Namespace) -> int:
    """Prune; returns the exit status."""
    if not (arguments.yes or arguments.dry_run or sys.stdin.isatty()):
        print(
            "tensorzero prune: there is no terminal to ask on: give --yes, or --dry-run first",
            file=sys.stderr,
        )
        return 2
    return run_command("prune", _prune(arguments))


async def _prune(arguments: argparse.Namespace) -> None:
    if arguments.before > datetime.now(UTC):
        raise StartError(f"--before {arguments.before:%Y-%m-%d %H:%M:%S} UTC is in the future")
    cluster = None if clickhouse_url() is None else os.environ.get(CLICKHOUSE_CLUSTER) or None

    async def work(url: DatabaseURL) -> None:
        with RemoteDatabase(url) as database:
            try:
                await asyncio.to_thread(database.ping)
            except DatabaseUnavailable as error:
                raise Unreachable(str(error)) from None
            prune = Prune(
                database,
                Scope(milliseconds(arguments.before), arguments.function),
                raw_only=arguments.raw_only,
                cluster=cluster,
            )
            await _run(prune, arguments)

    await on_database(arguments.data_dir, work)


async def _run(prune: Prune, arguments: argparse.Namespace) -> None:
    shares = [share for share in await prune.forecast() if share.rows]
    of_function = f" of function {arguments.function}" if arguments.function else ""
    what = "Raw provider bodies" if arguments.raw_only else "Inferences"
    print(f"{what}{of_function} from before {arguments.before:%Y-%m-%d %H:%M:%S} UTC:")
    if not shares:
        print("nothing to prune")
        return
    _show(shares)
    if arguments.dry_run:
        print("dry run: nothing was changed")
        return
    question = "Prune them? This can't be undone. [y/N] "
    if not arguments.yes and await _answer(question) not in ("y", "yes"):
        raise StartError("declined: nothing was changed")

    def tell(table: str, rows: int) -> None:
        if sys.stderr.isatty():
            print(f"{table}: {rows:,} rows", file=sys.stderr, flush=True)

    try:
        changed = await prune.run(tell)
    except asyncio.CancelledError:
        print(
            "tensorzero prune: interrupted; run the same command again to complete it",
            file=sys.stderr,
        )
        raise
    print(f"pruned {changed:,} rows")


async def _answer(question: str) -> str:
    """A line of the terminal. Not read in a thread: that could not be left by Ctrl-C."""
    print(question, end="", flush=True)
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline().strip().lower()


def _show(shares: list[Share]) -> None:
    total = Share("in all", sum(s.rows for s in shares), sum(s.bytes for s in shares))
    width = max(len(share.table) for share in shares)
    for share in (*shares, total):
        print(f"  {share.table:<{width}} {share.rows:>16,} rows {bytes_text(share.bytes):>12}")
