"""The embedded engine: inserts with tokens, rejections, restarts, kills, limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorzero.storage.database import embedded as embedded_module
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import (
    DatabaseError,
    DatabaseLocked,
    DatabaseUnavailable,
    EmbeddedEngineMissing,
    QueryError,
    RowsRejected,
    SinkUnavailable,
)


@pytest.fixture(scope="module", autouse=True)
def tables(engine: EmbeddedDatabase) -> None:
    window = "SETTINGS non_replicated_deduplication_window = 100"
    engine.command(
        "CREATE TABLE source (id UUID, n UInt32, s String, d Nullable(Decimal(18, 9)), "
        f"e Enum8('a' = 1)) ENGINE = MergeTree ORDER BY id {window}"
    )
    engine.command(f"CREATE TABLE target (n UInt32) ENGINE = MergeTree ORDER BY n {window}")
    engine.command("CREATE MATERIALIZED VIEW view TO target AS SELECT n FROM source")


@pytest.fixture
def db(engine: EmbeddedDatabase) -> Iterator[EmbeddedDatabase]:
    engine.command("TRUNCATE TABLE source")
    engine.command("TRUNCATE TABLE target")
    yield engine


def _rows(*rows: dict[str, Any]) -> bytes:
    return b"\n".join(orjson.dumps(row) for row in rows)


def _count(db: EmbeddedDatabase, table: str) -> int:
    return int(db.command(f"SELECT count() FROM {table}"))


def test_the_same_token_inserts_once_everywhere(db: EmbeddedDatabase) -> None:
    rows = _rows({"n": 1}, {"n": 2})
    for _ in range(3):
        db.insert("source", rows, 2, token="once")
    assert (_count(db, "source"), _count(db, "target")) == (2, 2)
    db.insert("source", rows, 2, token="another")
    assert (_count(db, "source"), _count(db, "target")) == (4, 4)


def test_a_repeat_completes_views_that_an_insert_missed(db: EmbeddedDatabase) -> None:
    """In doubt, send again: the source has the batch, the view's target gets it."""
    rows = _rows({"n": 7})
    db.command("DETACH TABLE view")
    db.insert("source", rows, 1, token="half")
    db.command("ATTACH TABLE view")
    db.insert("source", rows, 1, token="half")
    assert (_count(db, "source"), _count(db, "target")) == (1, 1)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"n":"x"}',
        b'{"n":-1}',
        b'{"n":[1]}',
        b'{"s":null}',
        b'{"id":null}',
        b'{"id":"019"}',
        b'{"e":"b"}',
        b'{"n":1',
        b"garbage",
        b'{"d":"99999999999999999999"}',
    ],
)
def test_one_bad_row_rejects_the_batch_and_is_named(db: EmbeddedDatabase, bad: bytes) -> None:
    rows = b'{"n":1}\n{"n":2}\n' + bad + b"\n"
    with pytest.raises(RowsRejected) as caught:
        db.insert("source", rows, 3, token="bad")
    assert caught.value.row_index in (2, None)
    assert caught.value.message.startswith("source: Code:")
    assert (_count(db, "source"), _count(db, "target")) == (0, 0)
    db.insert("source", b'{"n":1}\n{"n":2}', 2, token="good")
    assert _count(db, "target") == 2


def test_a_batch_of_the_largest_size_is_one_block(db: EmbeddedDatabase) -> None:
    rows = b"\n".join(b'{"n":%d}' % n for n in range(100_000))
    with pytest.raises(RowsRejected) as caught:
        db.insert("source", rows + b'\n{"n":"x"}', 100_001, token="big")
    assert caught.value.row_index == 100_000
    assert _count(db, "source") == 0
    db.insert("source", rows, 100_000, token="big")
    parts = db.query_json(
        "SELECT rows FROM system.parts WHERE table = 'source' AND active AND rows > 0"
    )
    assert parts == [{"rows": "100000"}]


def test_a_missing_table_is_not_the_rows_fault(db: EmbeddedDatabase) -> None:
    with pytest.raises(SinkUnavailable, match="absent"):
        db.insert("absent", b"{}", 1, token="t")
    db.insert("source", b'{"n":1}', 1, token="after")
    assert _count(db, "source") == 1


def test_table_names_are_names() -> None:
    db = EmbeddedDatabase.__new__(EmbeddedDatabase)
    with pytest.raises(RowsRejected):
        db.insert("source; DROP TABLE source", b"{}", 1, token="t")


def test_reads_go_on_while_rows_are_inserted(db: EmbeddedDatabase) -> None:
    stop = threading.Event()
    seen: list[int] = []
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                seen.append(_count(db, "source"))
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for batch in range(10):
        rows = b"\n".join(b'{"n":%d}' % n for n in range(2000))
        db.insert("source", rows, 2000, token=f"batch-{batch}")
    stop.set()
    reader.join()
    assert not failures
    assert all(count % 2000 == 0 for count in seen)
    assert _count(db, "source") == 20_000


def test_sessions_do_not_share_settings(db: EmbeddedDatabase) -> None:
    with db.session({"max_threads": "1"}) as one, db.session() as two:
        assert one.query("SELECT getSetting('max_threads')") == b"1\n"
        assert two.query("SELECT getSetting('max_threads')") == b"2\n"
        with pytest.raises(QueryError) as caught:
            one.set({"no_such_setting": "1"})
        assert caught.value.code == 115
        with pytest.raises(QueryError):
            one.set({"max_threads = 1, readonly": "1"})


def test_cancel_ends_a_running_query(db: EmbeddedDatabase) -> None:
    session = db.session()
    timer = threading.Timer(0.3, db.cancel, (session.tag,))
    timer.start()
    with pytest.raises(QueryError) as caught:
        session.query("SELECT max(sipHash64(number)) FROM numbers(100000000000)")
    assert caught.value.code == 394
    session.close()
    timer.join()


def test_memory_is_limited(db: EmbeddedDatabase) -> None:
    with db.session({"max_memory_usage": "50000000"}) as session, pytest.raises(QueryError) as e:
        session.query("SELECT groupArray(number) FROM numbers(100000000)")
    assert e.value.code == 241


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    text=texts,
    items=st.lists(texts, max_size=4),
    pairs=st.dictionaries(texts, texts, max_size=3),
    number=st.integers(min_value=-(2**63), max_value=2**63 - 1),
    missing=st.one_of(st.none(), texts),
)
def test_parameters_arrive_as_they_were(
    engine: EmbeddedDatabase,
    text: str,
    items: list[str],
    pairs: dict[str, str],
    number: int,
    missing: str | None,
) -> None:
    rows = engine.query_json(
        "SELECT {text:String} AS t, {items:Array(String)} AS i, {pairs:Map(String, String)} AS p, "
        "{number:Int64} AS n, {missing:Nullable(String)} AS m",
        {"text": text, "items": items, "pairs": pairs, "number": number, "missing": missing},
    )
    assert rows == [{"t": text, "i": items, "p": pairs, "n": str(number), "m": missing}]


_WRITER = """
import sys
from pathlib import Path
from tensorzero.storage.database.embedded import EmbeddedDatabase
db = EmbeddedDatabase.open(Path(sys.argv[1]))
db.command("CREATE TABLE IF NOT EXISTS t (n UInt32) ENGINE = MergeTree ORDER BY n "
           "SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, "
           "fsync_part_directory = 1")
print("open", flush=True)
n = 0
while True:
    db.insert("t", b'{"n":%d}' % n, 1, token=str(n))
    print(n, flush=True)
    n += 1
"""

_READER = """
import sys
from pathlib import Path
from tensorzero.storage.database.embedded import EmbeddedDatabase
db = EmbeddedDatabase.open(Path(sys.argv[1]))
print(db.broken_parts)
print(db.command("SELECT count(), uniqExact(n) FROM t"), end="")
last = int(sys.argv[2])
db.insert("t", b'{"n":%d}' % last, 1, token=str(last))
print(db.command("SELECT countIf(n = %d) FROM t" % last), end="")
db.close()
"""


def test_an_acknowledged_row_survives_a_kill_exactly_once(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    acknowledged = -1
    for line in writer.stdout:
        if line != b"open\n":
            acknowledged = int(line)
        if acknowledged >= 20:
            os.kill(writer.pid, signal.SIGKILL)
            break
    rest = writer.communicate()[0].split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    reader = subprocess.run(
        [sys.executable, "-c", _READER, str(tmp_path), str(acknowledged)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    broken, counts, repeated = reader.stdout.decode().splitlines()
    assert broken == "()"
    rows, distinct = map(int, counts.split())
    assert rows == distinct
    assert rows in (acknowledged + 1, acknowledged + 2)
    assert repeated == "1"


_DAMAGE = """
import sys
from pathlib import Path
from tensorzero.storage.database.embedded import EmbeddedDatabase
root = Path(sys.argv[1])
db = EmbeddedDatabase.open(root)
db.command("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n")
db.insert("t", b'{"n":1}', 1, token="1")
db.close()
for file in root.rglob("all_*/columns.txt"):
    file.write_bytes(b"garbage")
for file in root.rglob("all_*/checksums.txt"):
    file.write_bytes(b"")
db = EmbeddedDatabase.open(root)
for part in db.broken_parts:
    print(part.table, part.reason)
db.close()
"""


def test_broken_parts_are_reported_at_open(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DAMAGE, str(tmp_path)], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.startswith(b"t broken-on-start")


def test_the_lock_is_taken_before_the_engine(tmp_path: Path) -> None:
    from tensorzero.storage.database.lock import DirectoryLock

    (tmp_path / "database").mkdir()
    with DirectoryLock(tmp_path / "database" / ".lock"), pytest.raises(DatabaseLocked):
        EmbeddedDatabase.open(tmp_path, lock_wait_s=0.1)
    assert not (tmp_path / "database" / "clickhouse").exists()


def test_without_the_engine_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "chdb", None)
    with pytest.raises(EmbeddedEngineMissing, match=r"tensorzero-gateway\[embedded\]"):
        EmbeddedDatabase.open(tmp_path)
    monkeypatch.undo()
    from tensorzero.storage.database.lock import DirectoryLock

    DirectoryLock(tmp_path / "database" / ".lock").acquire(0)


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "database").write_text("a file")
    with pytest.raises(DatabaseError, match="database"):
        EmbeddedDatabase.open(tmp_path)
    with pytest.raises(DatabaseError, match=r"'\?'"):
        EmbeddedDatabase.open(tmp_path / "what?")


def test_importing_the_module_does_not_import_the_engine() -> None:
    code = (
        "import sys, tensorzero.storage.database.reads, tensorzero.storage.database.embedded\n"
        "print('chdb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"False\n"
    assert embedded_module.DATABASE_FOLDER == "database"


def test_after_close_everything_is_refused(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseUnavailable, SinkUnavailable
db = EmbeddedDatabase.open(Path(sys.argv[1]))
db.close()
db.close()
for call, kind in ((lambda: db.command("SELECT 1"), DatabaseUnavailable),
                   (db.ping, DatabaseUnavailable),
                   (lambda: db.insert("t", b"{}", 1, token="t"), SinkUnavailable)):
    try:
        call()
    except kind as error:
        print(error)
again = EmbeddedDatabase.open(Path(sys.argv[1]), lock_wait_s=0)
again.ping()
again.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.decode().count("The embedded database is closed") == 3
    assert issubclass(DatabaseUnavailable, DatabaseError)
