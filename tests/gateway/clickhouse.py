"""A ClickHouse server in a process of its own: the real engine behind its HTTP interface, which
can be killed, come back on the same port, and lose all its data."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import DatabaseURL

_SERVE = """
import asyncio, sys
from pathlib import Path
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.http_interface import serve
from tensorzero.storage.database.http_request import Credentials

async def main():
    db = EmbeddedDatabase.open(Path(sys.argv[1]))
    server = await serve(db, "127.0.0.1", int(sys.argv[2]), Credentials("user", "secret"))
    print(server.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class ClickHouse:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self.port}/default"

    @property
    def environment(self) -> dict[str, str]:
        return {"TENSORZERO_CLICKHOUSE_URL": self.url}

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(self.folder), str(self.port)],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """``kill -9``; connections are refused from here on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def lose_everything(self) -> None:
        shutil.rmtree(self.folder)

    def query(self, sql: str) -> list[list[str]]:
        with RemoteDatabase(DatabaseURL.parse(self.url)) as database:
            text = database.command(sql)
        return [line.split("\t") for line in text.splitlines()]

    def count(self, sql: str) -> int:
        return int(self.query(sql)[0][0])
