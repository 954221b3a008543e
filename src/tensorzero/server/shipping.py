"""The shipper's process: owns the embedded database, or knows the server; ships the spool."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import orjson

from tensorzero.server.logs import set_up_logs
from tensorzero.server.parent import report, watch_parent
from tensorzero.server.settings import Settings
from tensorzero.storage.database.connection_file import (
    USERNAME,
    new_password,
    remove_connection,
    write_connection,
)
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseError, DatabaseUnavailable, SinkUnavailable
from tensorzero.storage.database.http_interface import Server, serve
from tensorzero.storage.database.http_request import Credentials
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.seen import mark_migrated, seen_migrated
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.schema.migrations import migrate
from tensorzero.storage.schema.snapshot import write_config_snapshot
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings
from tensorzero.storage.spool.directory import Position, writer_directories
from tensorzero.version import VERSION

log = logging.getLogger(__name__)

DRAIN_S = 10.0
HOST = "127.0.0.1"


class ShipperProcess:
    """Opens the database, makes its tables, serves it on loopback, and ships."""

    def __init__(self, settings: Settings, start: dict[str, object]) -> None:
        self.settings = settings
        self.start = start
        self.stop = asyncio.Event()
        self.database: EmbeddedDatabase | RemoteDatabase | None = None
        self.interface: Server | None = None

    async def run(self, ready_fd: int) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        watch_parent(self.stop.set)
        try:
            note = await self._open()
        except DatabaseError as error:
            report(ready_fd, {"error": str(error)})
            return
        if self.database is None:
            return
        shipper = Shipper(
            spool_root=Path(self.settings.spool_dir),
            quarantine=Path(self.settings.quarantine_dir),
            sink=self.database,
            settings=self._shipper_settings(),
        )
        control = await self._control(shipper)
        report(ready_fd, {"ready": True, "database": note})
        try:
            await shipper.run(self.stop)
            await self._wait_for_writers()
            waiting = await shipper.drain(DRAIN_S)
            if waiting:
                log.warning("%d rows wait in the spool for the next start", waiting)
        finally:
            control.close()
            if self.interface is not None:
                await self.interface.close()
                remove_connection(Path(self.settings.data_dir))
            self.database.close()

    def _shipper_settings(self) -> ShipperSettings:
        interval = self.start.get("flush_interval_ms")
        rows = self.start.get("max_rows")
        return ShipperSettings(
            rows if isinstance(rows, int) else 10_000,
            interval / 1000 if isinstance(interval, int) else 1.0,
        )

    async def _open(self) -> str:
        if self.settings.embedded:
            return await self._open_embedded()
        return await self._open_remote()

    async def _open_embedded(self) -> str:
        data_dir = Path(self.settings.data_dir)
        database = await asyncio.to_thread(EmbeddedDatabase.open, data_dir)
        self.database = database
        await asyncio.to_thread(self._prepare, database, True)
        password = new_password()
        self.interface = await serve(database, HOST, 0, Credentials(USERNAME, password))
        write_connection(data_dir, HOST, self.interface.port, password)
        return f"embedded in {data_dir / 'database'}"

    async def _open_remote(self) -> str:
        url = DatabaseURL.parse(os.environ["TENSORZERO_CLICKHOUSE_URL"])
        database = RemoteDatabase(url)
        self.database = database
        data_dir = Path(self.settings.data_dir)
        try:
            await asyncio.to_thread(database.ping)
            await asyncio.to_thread(self._prepare, database, False)
        except (DatabaseUnavailable, SinkUnavailable):
            if not seen_migrated(data_dir, url):
                raise
            log.warning("%s cannot be reached; rows wait in the spool", url)
            return f"{url} (not reached)"
        mark_migrated(data_dir, url)
        return str(url)

    def _prepare(self, database: EmbeddedDatabase | RemoteDatabase, embedded: bool) -> None:
        migrate(
            database,
            version=VERSION,
            cluster=os.environ.get("TENSORZERO_CLICKHOUSE_CLUSTER_NAME"),
            disabled=self.start.get("disable_automatic_migrations") is True,
            embedded=embedded,
            override_replication=os.environ.get("TENSORZERO_OVERRIDE_NON_REPLICATED_CLICKHOUSE")
            == "1",
        )
        templates = self.start.get("extra_templates")
        write_config_snapshot(
            database,
            config_toml=str(self.start["config_toml"]),
            extra_templates=templates if isinstance(templates, dict) else {},
            hash_decimal=str(self.start["config_hash"]),
            version=VERSION,
            tags={},
        )

    async def _wait_for_writers(self) -> None:
        """Workers finish their requests after they were told to stop: their rows come too."""
        while True:
            directories = writer_directories(Path(self.settings.spool_dir))
            if all(directory.abandoned() for directory in directories):
                return
            await asyncio.sleep(0.05)

    async def _control(self, shipper: Shipper) -> asyncio.AbstractServer:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while line := await reader.readline():
                    result = await _command(shipper, orjson.loads(line))
                    writer.write(orjson.dumps(result) + b"\n")
                    await writer.drain()
            except (ConnectionError, orjson.JSONDecodeError) as error:
                log.debug("a control connection ended: %s", error)
            finally:
                writer.close()

        path = self.settings.control_socket
        await asyncio.to_thread(Path(path).unlink, missing_ok=True)
        server = await asyncio.start_unix_server(answer, path)
        os.chmod(path, 0o600)
        return server


async def _command(shipper: Shipper, message: dict[str, object]) -> dict[str, object]:
    flush = message.get("flush")
    if isinstance(flush, dict):
        position = Position(int(flush["segment"]), int(flush["offset"]))
        return {"ok": await shipper.wait_for(str(flush["writer"]), position, DRAIN_S)}
    if "contains" in message:
        return {"ok": shipper.contains(str(message["contains"]).encode())}
    if "wake" in message:
        shipper.wake()
        return {"ok": True}
    return {
        "ok": True,
        "waiting_rows": shipper.waiting_rows(),
        "inserted": shipper.delivery.inserted,
        "quarantined": shipper.quarantine.count,
        "last_error": shipper.last_error,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", required=True)
    parser.add_argument("--start-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    arguments = parser.parse_args()
    settings = Settings.from_json(arguments.settings)
    set_up_logs(settings.log_format)
    os.nice(5)
    with open(arguments.start_fd, "rb") as file:
        start = orjson.loads(file.read())
    asyncio.run(ShipperProcess(settings, start).run(arguments.ready_fd))


if __name__ == "__main__":
    main()
    sys.exit(0)
