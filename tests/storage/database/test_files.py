"""The connection file and the marker of migrated databases."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tensorzero.storage.database.connection_file import (
    USERNAME,
    new_password,
    read_connection,
    remove_connection,
    write_connection,
)
from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.seen import mark_migrated, seen_migrated
from tensorzero.storage.database.url import DatabaseURL


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "database").mkdir()
    return tmp_path


def test_only_its_owner_can_read_the_connection(data: Path) -> None:
    assert read_connection(data) is None
    path = write_connection(data, "127.0.0.1", 4711, "first")
    write_connection(data, "127.0.0.1", 4712, "second")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    url = read_connection(data)
    assert url is not None
    assert (url.origin, url.username, url.password) == (
        "http://127.0.0.1:4712",
        USERNAME,
        "second",
    )
    assert [entry.name for entry in path.parent.iterdir()] == ["connection.json"]
    remove_connection(data)
    remove_connection(data)
    assert read_connection(data) is None


def test_a_readable_or_damaged_file_is_refused(data: Path) -> None:
    path = write_connection(data, "127.0.0.1", 4711, "secret")
    path.chmod(0o644)
    with pytest.raises(DatabaseError, match="0600"):
        read_connection(data)
    path.chmod(0o600)
    path.write_bytes(b'{"host":')
    with pytest.raises(DatabaseError, match="damaged"):
        read_connection(data)


def test_passwords_differ_and_are_long() -> None:
    assert len({new_password() for _ in range(10)}) == 10
    assert len(new_password()) >= 40


def test_seen_migrated_is_per_database(data: Path) -> None:
    url = DatabaseURL.parse("http://u:hunter2@h:8123/a")
    assert not seen_migrated(data, url)
    mark_migrated(data, url)
    mark_migrated(data, url)
    assert seen_migrated(data, DatabaseURL.parse("http://other:x@h:8123/a"))
    assert not seen_migrated(data, DatabaseURL.parse("http://u:hunter2@h:8123/b"))
    assert not seen_migrated(data, DatabaseURL.parse("http://u:hunter2@i:8123/a"))
    for file in data.rglob("*"):
        if file.is_file():
            assert "hunter2" not in file.read_text()
