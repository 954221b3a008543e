"""Reads datapoints by key, and records new versions of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorzero.gateway.database import Parameter, Row
from tensorzero.gateway.datasets.request import Kind
from tensorzero.gateway.datasets.row import COLUMNS, TABLES, DatapointRow
from tensorzero.gateway.datasets.versions import Versions
from tensorzero.gateway.recorder import Rows
from tensorzero.gateway.services import Services
from tensorzero.gateway.turns import Turns
from tensorzero.types.errors import ClickHouseConnection, DatapointNotFound, InvalidRequest

_IDS_AT_ONCE = 500
"""They travel in the address of a query."""
_KEYS_AT_ONCE = 20_000
_READ_BYTES = 16_777_216
_FRAME_ROWS = 1000
_FRAME_BYTES = 4_194_304
"""A frame of the spool is written in one go."""
_FRAME_S = 1.0
"""How much longer an answer waits for the database, for each frame after the first."""
LIVE = "i.staled_at IS NULL"


@dataclass(frozen=True, slots=True)
class DatapointKey:
    """Where a datapoint's row is, which version it has, and about how many bytes."""

    kind: Kind
    dataset_name: str
    function_name: str
    id: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class Written:
    """Where the last of some rows ends, and how many frames they are."""

    position: object
    frames: int


@dataclass(frozen=True, slots=True)
class LiveRows:
    """Rows of one dataset by their ids."""

    dataset_name: str
    by_id: dict[str, DatapointRow]

    def __getitem__(self, id_: str) -> DatapointRow:
        """Raises ``DatapointNotFound``."""
        row = self.by_id.get(id_)
        if row is None:
            raise DatapointNotFound(self.dataset_name, id_)
        return row


KEY_COLUMNS = (
    "i.dataset_name AS dataset_name, i.function_name AS function_name, i.id AS id, i.updated_at AS version, "
    "length(i.input) + ifNull(length(i.output), 0) AS size"
)
"""What ``read_key`` wants beside ``kind``, of a table that is called ``i``."""


def read_key(row: Row) -> DatapointKey:
    return DatapointKey(
        row["kind"],
        row["dataset_name"],
        row["function_name"],
        row["id"],
        row["version"],
        int(row["size"]),
    )


class DatapointStore:
    """The datapoints of all datasets, as one worker reads and writes them."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.versions = Versions()

    def check_writable(self) -> None:
        """Raises ``InvalidRequest`` when nothing is recorded."""
        if not self.services.records:
            raise InvalidRequest(
                "Datasets are kept in the observability database, and "
                "`gateway.observability.enabled` is false"
            )

    async def live_keys(self, dataset_name: str) -> AsyncIterator[list[DatapointKey]]:
        """Of all live datapoints of a dataset, in pieces; each table's in its own order, so that
        neighbours are read together at little cost."""
        for kind in TABLES:
            conditions = f"i.dataset_name = {{dataset_name:String}} AND {LIVE}"
            params: dict[str, Parameter] = {"dataset_name": dataset_name, "most": _KEYS_AT_ONCE}
            tail = "ORDER BY i.function_name, i.id LIMIT {most:UInt64}"
            keys = await self._keys(kind, f"{conditions} {tail}", params)
            conditions += " AND (i.function_name, i.id) > ({function_name:String}, {id:UUID})"
            while keys:
                yield keys
                params |= {"function_name": keys[-1].function_name, "id": keys[-1].id}
                keys = await self._keys(kind, f"{conditions} {tail}", params)

    async def keys_of(
        self, ids: Iterable[str], *, dataset_name: str | None = None, live: bool = True
    ) -> list[DatapointKey]:
        """Those of ``ids`` that are there, each once, in no order."""
        conditions = "i.id IN {ids:Array(UUID)}"
        params: dict[str, Parameter] = {}
        if dataset_name is not None:
            conditions += " AND i.dataset_name = {dataset_name:String}"
            params["dataset_name"] = dataset_name
        if live:
            conditions += f" AND {LIVE}"
        found: list[DatapointKey] = []
        for some in _pieces(list(dict.fromkeys(ids))):
            for kind in TABLES:
                found += await self._keys(kind, conditions, {**params, "ids": some})
        return found

    async def _keys(
        self, kind: Kind, conditions: str, params: Mapping[str, Parameter]
    ) -> list[DatapointKey]:
        sql = (
            f"SELECT '{kind}' AS kind, {KEY_COLUMNS} FROM {TABLES[kind]} AS i FINAL "
            f"WHERE {conditions}"
        )
        return [read_key(row) for row in await self.services.reads.query(sql, params)]

    async def rows(
        self, keys: Sequence[DatapointKey], *, live: bool
    ) -> AsyncIterator[DatapointRow]:
        """In the order of ``keys``, without those that are gone (``live``: or stale) by now."""
        for some in _read_at_once(keys):
            found: dict[tuple[str, str, str], DatapointRow] = {}
            for rows in await asyncio.gather(*(self._rows(kind, some, live) for kind in TABLES)):
                for row in rows:
                    found[_identity(row)] = row
            for key in some:
                read = found.pop((key.dataset_name, key.function_name, key.id), None)
                if read is not None:
                    yield read

    async def _rows(
        self, kind: Kind, keys: Sequence[DatapointKey], live: bool
    ) -> list[DatapointRow]:
        wanted = [key for key in keys if key.kind == kind]
        if not wanted:
            return []
        conditions = ["i.id IN {ids:Array(UUID)}"]
        params: dict[str, Parameter] = {"ids": [key.id for key in wanted]}
        datasets = {key.dataset_name for key in wanted}
        if len(datasets) == 1:
            conditions.append("i.dataset_name = {dataset_name:String}")
            params["dataset_name"] = datasets.pop()
        if live:
            conditions.append(LIVE)
        sql = (
            f"SELECT {', '.join(COLUMNS[kind])} FROM {TABLES[kind]} AS i FINAL "
            f"WHERE {' AND '.join(conditions)}"
        )
        return [DatapointRow(kind, row) for row in await self.services.reads.query(sql, params)]

    async def live(self, dataset_name: str, ids: Sequence[str]) -> LiveRows:
        """Those of ``ids`` that are live in the dataset."""
        keys = await self.keys_of(ids, dataset_name=dataset_name)
        return LiveRows(dataset_name, {row.id: row async for row in self.rows(keys, live=True)})

    async def append(self, units: Iterable[Rows], turns: Turns) -> Written | None:
        """Record rows durably; ``None`` for no rows. The rows of one unit are kept all or not at
        all, whatever happens.

        Raises ``ObservabilityUnavailable``, and ``ClickHouseConnection`` when there is no room.
        """
        recorder = self.services.recorder
        recorder.check()
        written: Written | None = None
        for frame in _frames(units):
            position = recorder.append(frame)
            if position is None:
                raise ClickHouseConnection("There is no room to record datapoints; see the log")
            written = Written(position, 1 if written is None else written.frames + 1)
            await turns.offer()
        return written

    async def readable(self, written: Written | None) -> None:
        """Wait (bounded) until it can be read."""
        if written is not None:
            more_s = (written.frames - 1) * _FRAME_S
            await self.services.recorder.flushed(written.position, more_s)

    async def write(self, units: Iterable[Rows], turns: Turns) -> None:
        """``append``, then ``readable``."""
        await self.readable(await self.append(units, turns))


def _identity(row: DatapointRow) -> tuple[str, str, str]:
    columns: dict[str, Any] = row.columns
    return columns["dataset_name"], columns["function_name"], columns["id"]


def _pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


def _read_at_once(keys: Sequence[DatapointKey]) -> Iterator[Sequence[DatapointKey]]:
    start = size = 0
    for at, key in enumerate(keys):
        if at > start and (at - start >= _IDS_AT_ONCE or size + key.size > _READ_BYTES):
            yield keys[start:at]
            start, size = at, 0
        size += key.size
    if start < len(keys):
        yield keys[start:]


def _frames(units: Iterable[Rows]) -> Iterator[Rows]:
    frame: Rows = []
    size = 0
    for unit in units:
        added = sum(len(row) for _, row in unit)
        if frame and (len(frame) + len(unit) > _FRAME_ROWS or size + added > _FRAME_BYTES):
            yield frame
            frame, size = [], 0
        frame += unit
        size += added
    if frame:
        yield frame
