"""Counting what a prune changes, and doing it: one mutation after the other, each to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.parameters import Parameter, quote_string
from tensorzero.storage.database.protocol import Database, Row
from tensorzero.storage.prune.plan import MUTATION_SETTINGS, Scope, Step, plan, window_query
from tensorzero.storage.schema.replication import Replication

WINDOW_ROWS: Final = 2_000_000
"""Inferences whose ids a windowed step holds in memory at a time."""
_FAILING_S: Final = 20.0
_IDLE_S: Final = 120.0
_FIRST_LOOK_S: Final = 0.02
_LAST_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """Of one table: how many rows, and about how many bytes on disk they take."""

    table: str
    rows: int
    bytes: int


class PruneError(DatabaseError):
    """The database can't do it; the text says why."""


class Prune:
    """One prune on one database; calls block in threads, so that it can be left at any time."""

    def __init__(
        self,
        database: Database,
        scope: Scope,
        *,
        raw_only: bool,
        cluster: str | None = None,
        window_rows: int = WINDOW_ROWS,
    ) -> None:
        self._db = database
        self._scope = scope
        self._steps = plan(scope, raw_only=raw_only)
        self._replication = Replication(database.database, cluster)
        self._window_rows = window_rows

    async def forecast(self) -> list[Share]:
        """What would be changed, by table in the plan's order. Raises DatabaseError."""
        windows = await self._windows()
        rows: dict[str, int] = {}
        columns: dict[str, tuple[str, ...]] = {}
        for step in self._steps:
            columns[step.table] = step.columns
            rows.setdefault(step.table, 0)
            for params in await self._windows_of(step, windows):
                found = await self._ask(step.count, params)
                rows[step.table] += int(found[0]["found"])
        shares = []
        for table, count in rows.items():
            size = await self._bytes(table, columns[table]) if count else None
            shares.append(Share(table, count, int(size * count) if size else 0))
        return shares

    async def run(self, on_step: Callable[[str, int], None]) -> int:
        """Do it; returns how many rows were changed. ``on_step`` hears of each table and its
        rows before they are changed. Raises DatabaseError; then it can be run again."""
        windows = await self._windows()
        done = 0
        for step in self._steps:
            for params in await self._windows_of(step, windows):
                found = int((await self._ask(step.count_now, params))[0]["found"])
                if found:
                    on_step(step.table, found)
                    await self._mutate(step, params)
                    done += found
        return done

    async def _windows(self) -> list[dict[str, Parameter]]:
        """The scope's parameters with each window; ids of future episodes are one of their own."""
        base = self._scope.params()
        windows: list[dict[str, Parameter]] = []
        after: Parameter = "0"
        while any(step.windowed for step in self._steps):
            params = {**base, "after": after, "rows": self._window_rows}
            found = (await self._ask(window_query(self._scope), params))[0]
            if int(found["found"]) < self._window_rows:
                break
            windows.append({**base, "after": after, "until": found["last"]})
            after = found["last"]
        windows.append({**base, "after": after, "until": base["before"]})
        windows.append({**base, "after": base["future"], "until": base["future_before"]})
        return windows

    async def _windows_of(
        self, step: Step, windows: list[dict[str, Parameter]]
    ) -> list[dict[str, Parameter]]:
        """None where there is nothing to look for: sets of ids are not made for empty tables."""
        if not step.windowed:
            return windows[:1]
        rows = await self._ask(f"SELECT count() AS found FROM {step.table}", {})
        return windows if int(rows[0]["found"]) else []

    async def _ask(self, sql: str, params: Mapping[str, Parameter]) -> list[Row]:
        used = {name: value for name, value in params.items() if f"{{{name}:" in sql}
        return await asyncio.to_thread(self._db.query_json, sql, used)

    async def _bytes(self, table: str, columns: Iterable[str]) -> float:
        """Bytes on disk of one row of a table, or of these columns of it, on average."""
        where = "WHERE active AND database = {db:String} AND table = {table:String}"
        params: dict[str, Parameter] = {"db": self._db.database, "table": table}
        whole = await self._ask(
            "SELECT sum(rows) AS rows, sum(bytes_on_disk) AS size, "
            f"sum(data_uncompressed_bytes) AS plain FROM system.parts {where}",
            params,
        )
        rows, size, plain = (int(whole[0][name]) for name in ("rows", "size", "plain"))
        names = list(columns)
        if not rows or not names:
            return size / max(1, rows)
        wide = await self._ask(
            "SELECT sum(column_bytes_on_disk) AS size FROM system.parts_columns "
            f"{where} AND column IN {{columns:Array(String)}}",
            {**params, "columns": names},
        )
        if int(wide[0]["size"]):
            return int(wide[0]["size"]) / rows
        # Small parts keep their columns in one file: by the texts' share of the table.
        lengths = " + ".join(f"length({name})" for name in names)
        texts = await self._ask(f"SELECT sum({lengths}) AS plain FROM {table}", {})
        return size * min(1.0, int(texts[0]["plain"]) / max(1, plain)) / rows

    async def _mutate(self, step: Step, params: Mapping[str, Parameter]) -> None:
        sql = step.statement(self._replication)
        used = {name: value for name, value in params.items() if f"{{{name}:" in sql}
        await asyncio.to_thread(self._db.command, sql, used, MUTATION_SETTINGS)
        await self._wait(step.table)

    async def _wait(self, table: str) -> None:
        """Until every mutation of the table is done, on each replica."""
        source = "system.mutations"
        if self._replication.cluster is not None:
            source = f"clusterAllReplicas({quote_string(self._replication.cluster)}, {source})"
        sql = (
            "SELECT count() AS left, sum(parts_to_do) AS parts, any(latest_fail_reason) AS reason, "
            f"any(mutation_id) AS mutation FROM {source} "
            "WHERE NOT is_done AND database = {db:String} AND table = {table:String}"
        )
        watch = _Watch(table)
        pause = _FIRST_LOOK_S
        while True:
            row = (await self._ask(sql, {"db": self._db.database, "table": table}))[0]
            if not int(row["left"]):
                return
            try:
                if watch.idle(int(row["parts"])) and not await self._merging():
                    raise PruneError(
                        f"The database does not begin to prune {table}. It rewrites nothing while "
                        "its disk is almost full: free some space and run this again"
                    )
                watch.look(row["reason"])
            except PruneError:
                # Else the engine would try for ever, and later mutations would wait for it.
                await self._give_up(table)
                raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK_S)

    async def _merging(self) -> bool:
        return (
            int((await self._ask("SELECT count() AS running FROM system.merges", {}))[0]["running"])
            > 0
        )

    async def _give_up(self, table: str) -> None:
        await asyncio.to_thread(
            self._db.command,
            f"KILL MUTATION{self._replication.on_cluster} "
            "WHERE database = {db:String} AND table = {table:String} AND NOT is_done",
            {"db": self._db.database, "table": table},
        )


class _Watch:
    """Notices a mutation that fails again and again, or does not go on."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._parts = -1
        self._progressed = time.monotonic()
        self._failing: float | None = None

    def idle(self, parts: int) -> bool:
        """With so many parts to do, nothing has changed for long."""
        now = time.monotonic()
        if parts != self._parts:
            self._parts = parts
            self._progressed = now
            self._failing = None
        return now - self._progressed > _IDLE_S

    def look(self, reason: str) -> None:
        """Raises ``PruneError`` when it has failed with a ``reason`` for long."""
        now = time.monotonic()
        if not reason:
            self._failing = None
        elif self._failing is None:
            self._failing = now
        elif now - self._failing > _FAILING_S:
            raise PruneError(f"{self._table} can't be pruned: {reason}")
