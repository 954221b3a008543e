"""A database with its schema behind a server that misbehaves, and a spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import FakeClickHouse

from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.schema.migrations import migrate
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings


@pytest.fixture(scope="module")
def db(engine: EmbeddedDatabase) -> EmbeddedDatabase:
    migrate(engine, version="test", embedded=True)
    return engine


@pytest.fixture
def fake(db: EmbeddedDatabase) -> Iterator[FakeClickHouse]:
    server = FakeClickHouse(db)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def function(request: pytest.FixtureRequest) -> str:
    """A name of the test's own, so that its rows are told from others."""
    return request.node.name.replace("'", "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "0"


@pytest.fixture
def make(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shipper]:
    """A shipper on the test's spool, as a process that has just started."""
    monkeypatch.setattr("tensorzero.storage.shipper.shipper.BACKOFF_S", (0.01,))

    def new(sink: Any, **options: Any) -> Shipper:
        options.setdefault("settings", ShipperSettings(flush_interval_s=0.2))
        return Shipper(spool_root=root, quarantine=tmp_path / "quarantine", sink=sink, **options)

    return new
