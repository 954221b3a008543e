"""The shipper's process: owns the embedded database, or knows the server; ships the spool."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import orjson

from tensorzero.server.adoption import Adoption
from tensorzero.server.control import Control
from tensorzero.server.data_size import log_data_size
from tensorzero.server.gears import ShipperGears
from tensorzero.server.logs import set_up_logs
from tensorzero.server.parent import report, watch_parent
from tensorzero.server.preparation import PreparedDatabase
from tensorzero.server.settings import Settings
from tensorzero.storage.database.broken_parts import newly_broken, remember_broken
from tensorzero.storage.database.connection_file import (
    USERNAME,
    new_password,
    remove_connection,
    write_connection,
)
from tensorzero.storage.database.embedded import EmbeddedDatabase
from tensorzero.storage.database.errors import DatabaseError, SinkUnavailable
from tensorzero.storage.database.http_interface import Server, serve
from tensorzero.storage.database.http_request import Credentials
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.seen import mark_migrated, seen_migrated
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.schema.migrations import migrate
from tensorzero.storage.schema.snapshot import write_config_snapshot
from tensorzero.storage.shipper.pace import Pace
from tensorzero.storage.shipper.shipper import Shipper, ShipperSettings
from tensorzero.storage.spool.directory import writer_directories
from tensorzero.version import VERSION

# By its full name: this module runs as ``__main__``.
log = logging.getLogger("tensorzero.server.shipping")

DRAIN_S = 10.0
HOST = "127.0.0.1"
PATIENCE_S = 2.0
_WRITERS_LOOK_S = 0.05


class ShipperProcess:
    """Opens the database, makes its tables, serves it on loopback, and ships."""

    def __init__(self, settings: Settings, start: dict[str, object]) -> None:
        self.settings = settings
        self.start = start
        self.stop = asyncio.Event()
        self.interface: Server | None = None
        self.shipper: Shipper | None = None
        self.shipper_settings = self._shipper_settings()
        self.gears = ShipperGears(self.shipper_settings.longest_interval_s)
        self.distrust = False
        self._forgetful: Collection[str] = ()

    async def run(self, ready_fd: int) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        watch_parent(self.stop.set)
        try:
            sink, note = await self._open()
            root = Path(self.settings.spool_dir)
            shipper = self._shipper(sink, root, distrust=self.distrust, pace=self.gears)
            self.shipper = shipper
            if self.distrust and isinstance(sink.database, EmbeddedDatabase):
                remember_broken(sink.database)  # the shipper's state knows from here on
            control = Control(shipper, self.settings.control_socket, self.gears.held)
            await control.start()
        except (DatabaseError, OSError) as error:
            report(ready_fd, {"error": str(error)})
            return

        def prepared(forgetful: Collection[str]) -> None:
            shipper.delivery.forgetful = frozenset(forgetful)

        sink.on_prepared = prepared
        report(ready_fd, {"ready": True, "database": note})
        self.gears.start()
        adoption = Adoption(shipper.root, lambda folder: self._shipper(sink, folder))
        try:
            await self._ship(sink, shipper, adoption)
        finally:
            control.close()
            if self.interface is not None:
                await self.interface.close()
                remove_connection(Path(self.settings.data_dir))
        if shipper.busy or adoption.busy:
            # An insert that does not come back; the next start sends it again.
            logging.shutdown()
            os._exit(0)
        shipper.close()
        sink.database.close()

    async def _ship(self, sink: PreparedDatabase, shipper: Shipper, adoption: Adoption) -> None:
        """Until there is nothing more to come; then for ``DRAIN_S`` at most."""
        finish = asyncio.Event()
        finishing = asyncio.create_task(self._finish(finish))
        preparing = asyncio.create_task(sink.prepare_late())
        tasks = [finishing, preparing]
        try:
            await asyncio.wait({finishing, preparing}, return_when=asyncio.FIRST_COMPLETED)
            if sink.prepared:
                tasks.append(asyncio.create_task(adoption.run(self.stop)))
                tasks.append(asyncio.create_task(log_data_size(sink, sink.database.database)))
                await shipper.run(finish)
                await shipper.drain(DRAIN_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        waiting, complete = await shipper.waiting_rows()
        if waiting or not complete:
            log.warning(
                "%s%d rows wait in the spool for the next start",
                "" if complete else "more than ",
                waiting,
            )

    async def _finish(self, finish: asyncio.Event) -> None:
        """Workers finish their requests after they were told to stop: their rows come too."""
        await self.stop.wait()
        self.gears.stop()
        root = Path(self.settings.spool_dir)
        # A lock's release cannot be waited for without a thread.
        while not all(  # noqa: ASYNC110 - see above
            directory.abandoned() for directory in writer_directories(root)
        ):
            await asyncio.sleep(_WRITERS_LOOK_S)
        finish.set()

    def _shipper(
        self,
        sink: PreparedDatabase,
        spool_root: Path,
        *,
        distrust: bool = False,
        pace: Pace | None = None,
    ) -> Shipper:
        return Shipper(
            spool_root=spool_root,
            quarantine=Path(self.settings.quarantine_dir),
            sink=sink,
            settings=self.shipper_settings,
            forgetful=self._forgetful,
            distrust=distrust,
            pace=pace,
        )

    def _shipper_settings(self) -> ShipperSettings:
        """``flush_interval_ms`` and ``max_rows`` count only where they are configured."""
        interval = self.start.get("flush_interval_ms")
        rows = self.start.get("max_rows")
        return ShipperSettings(
            max_rows=rows if isinstance(rows, int) else None,
            flush_interval_s=interval / 1000 if isinstance(interval, int) else 1.0,
            patience_s=0.0 if isinstance(interval, int) else PATIENCE_S,
        )

    async def _open(self) -> tuple[PreparedDatabase, str]:
        if self.settings.embedded:
            return await self._open_embedded()
        return await self._open_remote()

    async def _open_embedded(self) -> tuple[PreparedDatabase, str]:
        data_dir = Path(self.settings.data_dir)
        database = await asyncio.to_thread(EmbeddedDatabase.open, data_dir)
        sink = PreparedDatabase(database, lambda: self._prepare(database, True))
        await asyncio.to_thread(sink.ensure)
        self.distrust = newly_broken(database)
        password = new_password()
        credentials = Credentials(USERNAME, password)
        self.interface = await serve(database, HOST, 0, credentials, while_running=self._read)
        write_connection(data_dir, HOST, self.interface.port, password)
        return sink, f"embedded in {data_dir / 'database'}"

    @contextlib.contextmanager
    def _read(self) -> Iterator[None]:
        """Somebody's query runs, who may well look for the newest rows."""
        if self.shipper is not None:
            self.shipper.expect_reader()
        with self.gears.held():
            yield

    async def _open_remote(self) -> tuple[PreparedDatabase, str]:
        url = DatabaseURL.parse(os.environ["TENSORZERO_CLICKHOUSE_URL"])
        database = RemoteDatabase(url)
        data_dir = Path(self.settings.data_dir)

        def prepare() -> Collection[str]:
            forgetful = self._prepare(database, False)
            mark_migrated(data_dir, url)
            return forgetful

        sink = PreparedDatabase(database, prepare)
        try:
            await asyncio.to_thread(sink.ensure)
        except SinkUnavailable as error:
            if not seen_migrated(data_dir, url):
                raise
            log.warning("%s; rows wait in the spool", error)
            return sink, f"{url} (not reached)"
        return sink, str(url)

    def _prepare(
        self, database: EmbeddedDatabase | RemoteDatabase, embedded: bool
    ) -> Collection[str]:
        done = migrate(
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
        self._forgetful = done.tables_without_tokens
        return done.tables_without_tokens


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", required=True)
    parser.add_argument("--start-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    arguments = parser.parse_args()
    settings = Settings.from_json(arguments.settings)
    set_up_logs(settings.log_format, debug=settings.debug)
    os.nice(10)
    with open(arguments.start_fd, "rb") as file:
        start = orjson.loads(file.read())
    try:
        asyncio.run(ShipperProcess(settings, start).run(arguments.ready_fd))
    except Exception:
        log.exception("the shipper ends on an unexpected error")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
    sys.exit(0)
