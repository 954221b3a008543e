"""The embedded database on a disk that fills up: rows wait, none is lost or doubled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_FILL = """
import os, sys
from pathlib import Path
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import SinkUnavailable

root = Path(sys.argv[1])
ballast = root / "ballast"
ballast.write_bytes(os.urandom(16 * 1024 * 1024))
db = EmbeddedDatabase.open(root)
window = "SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1"
db.command(f"CREATE TABLE s (n UInt32, x String) ENGINE = MergeTree ORDER BY n {window}")
db.command(f"CREATE TABLE t (n UInt32, x String) ENGINE = MergeTree ORDER BY n {window}")
db.command("CREATE MATERIALIZED VIEW v TO t AS SELECT n, x FROM s")

def batch(number):
    lines = (b'{"n":%d,"x":"%s"}' % (number * 100 + n, os.urandom(2000).hex().encode())
             for n in range(100))
    return b"\\n".join(lines)

done = refused = 0
pending = None
while done < 400:
    rows = pending or batch(done)
    try:
        db.insert("s", rows, 100, token=str(done))
    except SinkUnavailable as error:
        refused += 1
        pending = rows
        if refused == 3:
            print(str(error)[:200])
            # Reads go on.
            db.command("SELECT count() FROM s")
            ballast.unlink()
        if refused > 6:
            break
        continue
    pending = None
    done += 1
    if refused and done % 10 == 0:
        break
for table in ("s", "t"):
    print(int(db.command(f"SELECT count() FROM {table}")) == done * 100,
          db.command(f"SELECT count() = uniqExact(n) FROM {table}").strip())
print("refused", refused)
db.close()
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a file system of limited size can only be mounted as root")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILL, str(small_disk)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    message, source, target, refused = done.stdout.splitlines()
    assert "MiB free" in message
    assert (source, target) == ("True 1", "True 1")
    assert int(refused.split()[1]) >= 3
