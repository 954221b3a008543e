"""What feedback is about: found in memory, in the spool, or in the database; waited for a while.

How long, and why: the contract's feedback page, 1.4. Many lookups at once are one query.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Literal, TypeVar
from uuid import UUID

from tensorzero.gateway.database import Reads, Row
from tensorzero.gateway.episode import WORKFLOW_OFFSET_S
from tensorzero.gateway.gathered import Gathered
from tensorzero.gateway.recorder import Level, Recorder
from tensorzero.types.errors import (
    ClickHouseConnection,
    ClickHouseQuery,
    InvalidRequest,
    InvalidUuid,
)

T = TypeVar("T")
_Target = tuple[Level, str]

GRACE_MS = 6000
"""So old an id must be for its row to be expected in the database."""
LEAST_MS = 1000
"""So long any id is looked for."""
PAUSES_S = (0.05, 0.1, 0.25, 0.5)
_TARGETS = (
    "SELECT 'inference' AS level, toString(id_uint) AS id, function_name, variant_name, "
    "toString(episode_id) AS episode_id, toString(function_type) AS function_type "
    "FROM InferenceById WHERE id_uint IN {inference_ids:Array(UInt128)} "
    "UNION ALL SELECT DISTINCT 'episode' AS level, toString(episode_id_uint) AS id, "
    "'' AS function_name, '' AS variant_name, '' AS episode_id, '' AS function_type "
    "FROM InferenceByEpisodeId WHERE episode_id_uint IN {episode_ids:Array(UInt128)}"
)
_ROW = (
    "SELECT {columns} FROM {table} WHERE function_name = {{function_name:String}} "
    "AND variant_name = {{variant_name:String}} AND episode_id = {{episode_id:UUID}} "
    "AND id = {{id:UUID}} LIMIT 1"
)
_COLUMNS = {
    "ChatInference": "output, dynamic_tools, dynamic_provider_tools, allowed_tools, tool_choice",
    "JsonInference": "output, output_schema",
}


@dataclass(frozen=True, slots=True)
class RecordedInference:
    """An inference as it was recorded. ``row``: its output and what it was asked for, by
    column."""

    function_name: str
    function_type: Literal["chat", "json"]
    row: Mapping[str, Any]


class FeedbackTargets:
    """Finds inferences and episodes."""

    def __init__(self, reads: Reads, recorder: Recorder) -> None:
        self.reads = reads
        self.recorder = recorder
        self._stored: Gathered[_Target, Row] = Gathered(self._query)
        self._waiting: Gathered[_Target, _InSpool] = Gathered(self._look_into_spool)

    async def require(self, level: Level, id_: str) -> None:
        """Return when it is known to exist.

        Raises ``InvalidUuid``, ``InvalidRequest`` (there is no such thing), ``ClickHouseQuery``,
        ``ClickHouseConnection``.
        """
        budget_s = budget_of(id_)

        async def look() -> bool:
            if self.recorder.has_recorded(level, id_):
                return True
            return await self._stored.get((level, id_)) is not None

        async def look_into_spool() -> bool:
            return True

        await self._find(level, id_, budget_s, look, look_into_spool)

    async def inference(self, id_: str) -> RecordedInference:
        """The inference as it was recorded; raises what ``require`` raises."""

        async def look() -> RecordedInference | None:
            known = await self._stored.get(("inference", id_))
            return None if known is None else await self._read(id_, known)

        async def look_into_spool() -> RecordedInference | None:
            rows, _ = await self.recorder.find_waiting("inference", [id_], row=True)
            found = rows.get(id_)
            if found is None:
                return None
            return RecordedInference(
                found.row["function_name"],
                "json" if found.table == "JsonInference" else "chat",
                found.row,
            )

        return await self._find("inference", id_, budget_of(id_), look, look_into_spool)

    async def _find(
        self,
        level: Level,
        id_: str,
        budget_s: float,
        look: Callable[[], Awaitable[T | None]],
        look_into_spool: Callable[[], Awaitable[T | None]],
    ) -> T:
        """Look until it is there or time is up. What the spool holds was there before us, so one
        look into it is enough (two, if the first was not complete): what comes later is
        remembered."""
        ends = time.monotonic() + budget_s
        in_spool: _InSpool | None = None
        for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
            last = time.monotonic() >= ends
            away: ClickHouseConnection | None = None
            try:
                result = await look()
            except ClickHouseConnection as error:
                result, away = None, error
            if result:
                return result
            if in_spool is None or (last and not in_spool.complete):
                in_spool = await self._waiting.get((level, id_))
                result = await look_into_spool() if in_spool and in_spool.found else None
                if result:
                    return result
            if away is not None:
                raise away
            if last:
                break
            await asyncio.sleep(min(pause, max(ends - time.monotonic(), 0.0)))
        if self.recorder.has_recorded(level, id_) or not (in_spool and in_spool.complete):
            raise ClickHouseConnection(
                f"{level.capitalize()} ID: {id_} may be among rows that wait for the database"
            )
        raise InvalidRequest(f"{level.capitalize()} ID: {id_} does not exist")

    async def _query(self, targets: Sequence[_Target]) -> Mapping[_Target, Row]:
        by_number = {(level, str(UUID(id_).int)): (level, id_) for level, id_ in targets}
        numbers: dict[Level, list[int]] = {"inference": [], "episode": []}
        for level, number in by_number:
            numbers[level].append(int(number))
        rows = await self.reads.query(
            _TARGETS,
            {"inference_ids": numbers["inference"], "episode_ids": numbers["episode"]},
        )
        return {by_number[row["level"], row["id"]]: row for row in rows}

    async def _look_into_spool(self, targets: Sequence[_Target]) -> Mapping[_Target, _InSpool]:
        out: dict[_Target, _InSpool] = {}
        levels: tuple[Level, ...] = ("inference", "episode")
        for level in levels:
            ids = [id_ for kind, id_ in targets if kind == level]
            if ids:
                found, complete = await self.recorder.find_waiting(level, ids)
                out |= {(level, id_): _InSpool(id_ in found, complete) for id_ in ids}
        return out

    async def _read(self, id_: str, known: Row) -> RecordedInference:
        kind: Literal["chat", "json"] = "json" if known["function_type"] == "json" else "chat"
        table = "JsonInference" if kind == "json" else "ChatInference"
        rows = await self.reads.query(
            _ROW.format(table=table, columns=_COLUMNS[table]),
            {
                "id": id_,
                "function_name": known["function_name"],
                "variant_name": known["variant_name"],
                "episode_id": known["episode_id"],
            },
        )
        if not rows:
            raise ClickHouseQuery(f"Inference ID: {id_} has no row in {table}")
        return RecordedInference(known["function_name"], kind, rows[0])


@dataclass(frozen=True, slots=True)
class _InSpool:
    """Whether it waits in the spool; ``complete``: all that waits was looked at."""

    found: bool
    complete: bool


def budget_of(id_: str) -> float:
    """Seconds that an id is looked for; raises ``InvalidUuid`` for ids without a time."""
    number = UUID(id_).int
    if number >> 76 & 15 != 7:
        raise InvalidUuid(id_)
    milliseconds = number >> 80
    if milliseconds >= WORKFLOW_OFFSET_S * 1000:
        milliseconds -= WORKFLOW_OFFSET_S * 1000
    age = max(time.time() * 1000 - milliseconds, 0.0)
    return max(GRACE_MS - age, LEAST_MS) / 1000
