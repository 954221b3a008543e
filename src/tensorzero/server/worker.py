"""A worker: one event loop, one ``uvicorn.Server`` on the supervisor's socket."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
from pathlib import Path

import uvicorn
import uvloop

from tensorzero.api.app import App
from tensorzero.api.inference import InferenceRoute
from tensorzero.config.config import Config
from tensorzero.config.load import load, load_default
from tensorzero.gateway.object_store import ConfiguredStore, open_store
from tensorzero.gateway.recorder import NullRecorder, Recorder
from tensorzero.gateway.services import Services, WorkflowEpisode
from tensorzero.models.table import ModelTable
from tensorzero.providers.base import ProviderContext
from tensorzero.server.logs import set_up_logs
from tensorzero.server.parent import report, watch_parent
from tensorzero.server.recording import ShipperLink, SpoolRecorder
from tensorzero.server.settings import SPOOL_LIMIT_BYTES, Settings
from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.reads import ReadClient
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.types.errors import ClickHouseConnection, InvalidWorkflowEvaluationRun
from tensorzero.version import VERSION
from tzcore.client import Pool
from tzcore.http1 import make_protocol
from tzcore.spool import SpoolFull, Writer
from tzcore.uuid7 import uuid7

log = logging.getLogger(__name__)

_EPISODE = (
    "SELECT toString(run_id) AS run_id, variant_pins, tags FROM DynamicEvaluationRunEpisode "
    "WHERE episode_id_uint = toUInt128(toUUID({episode_id:String})) "
    "ORDER BY updated_at DESC LIMIT 1"
)


class DatabaseReads:
    """What a worker asks the database: its health, and episodes of workflow runs."""

    def __init__(self, client: ReadClient | None, recorder: SpoolRecorder | None) -> None:
        self.client = client
        self.recorder = recorder

    async def database_ok(self) -> bool:
        if self.recorder is not None and not self.recorder.has_room():
            return False
        return self.client is None or await self.client.ping()

    async def find(self, episode_id: str) -> WorkflowEpisode:
        if self.client is None:
            raise InvalidWorkflowEvaluationRun(episode_id)
        try:
            rows = await self.client.query(_EPISODE, {"episode_id": episode_id})
        except DatabaseError as error:
            raise ClickHouseConnection(f"The database cannot be asked: {error}") from None
        if not rows:
            raise InvalidWorkflowEvaluationRun(episode_id)
        row = rows[0]
        return WorkflowEpisode(row["run_id"], dict(row["variant_pins"]), dict(row["tags"]))


def _store(config: Config, settings: Settings) -> tuple[ConfiguredStore | None, bool]:
    """The object store, and whether its place is decided (also: decided not to store)."""
    if config.object_storage is not None:
        return open_store(config.object_storage.kind), True
    if not settings.records:
        return None, False
    path = str((Path(settings.data_dir) / "files").resolve())
    log.info("files of inferences go to %s (no [object_storage] is configured)", path)
    return open_store({"type": "filesystem", "path": path}), True


def _read_client(settings: Settings) -> ReadClient | None:
    if not settings.records:
        return None
    if settings.embedded:
        return ReadClient.for_data_dir(Path(settings.data_dir))
    return ReadClient(DatabaseURL.parse(os.environ["TENSORZERO_CLICKHOUSE_URL"]))


async def serve(settings: Settings, listener: socket.socket, ready_fd: int) -> None:
    """Serve until told to stop; then finish what is running."""
    config = load_default() if settings.config_file is None else load(settings.config_file)
    set_up_logs(settings.log_format, debug=config.gateway.debug)
    pool = Pool(user_agent=f"TensorZero/{VERSION}".encode())
    context = ProviderContext(
        pool, config.gateway.global_outbound_http_timeout_ms, config.gateway.debug
    )
    observability = config.gateway.observability
    spool: SpoolRecorder | None = None
    recorder: Recorder = NullRecorder()
    if settings.records:
        name = uuid7()
        writer = Writer(
            str(Path(settings.spool_dir) / name),
            limit_bytes=SPOOL_LIMIT_BYTES,
            keep_free_bytes=settings.keep_free_bytes(),
        )
        link = ShipperLink(settings.control_socket, name)
        spool = SpoolRecorder(writer, link, required=observability.enabled is True)
        link.start()
        recorder = spool
    store, decided = _store(config, settings)
    reads = DatabaseReads(_read_client(settings), spool)
    services = Services(
        config=config,
        models=ModelTable(config.models, config.shorthands, context),
        recorder=recorder,
        records=settings.records,
        store=store,
        store_decided=decided,
        workflow_runs=reads,
        waits_for_database=observability.waits_for_database,
    )
    tasks: set[asyncio.Task[None]] = set()
    route = InferenceRoute(services, tasks)
    base_path = config.gateway.base_path
    app = App(
        inference=route,
        health=reads,
        version=VERSION,
        config_hash=config.snapshot.hash,
        base_path=base_path,
        store=store,
    )
    protocol = make_protocol(
        {(b"POST", f"{base_path}/inference".encode()): route},
        common_headers=f"x-tensorzero-gateway-version: {VERSION}\r\n".encode(),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol,  # type: ignore[arg-type]  # any protocol factory is taken
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    # uvicorn's own handlers raise the signal again once it has stopped; ours end with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
    watch_parent(stop)
    _settle_garbage_collection()
    announcement = loop.create_task(_announce(server, ready_fd))
    await server._serve([listener])
    await announcement
    if tasks:
        log.info("finishing %d running inferences", len(tasks))
        await asyncio.gather(*tasks, return_exceptions=True)
    await pool.aclose()
    if spool is not None:
        spool.close()


def _settle_garbage_collection() -> None:
    """What was made at start lives as long as the worker: it is not looked at again. Requests
    leave next to no cycles, so the collector need not come every 700 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


async def _announce(server: uvicorn.Server, ready_fd: int) -> None:
    # uvicorn offers no event to wait for.
    while not server.started and not server.should_exit:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.005)
    report(ready_fd, {"ready": True})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    arguments = parser.parse_args()
    settings = Settings.from_json(arguments.settings)
    set_up_logs(settings.log_format)
    listener = socket.socket(fileno=arguments.listen_fd)
    try:
        uvloop.run(serve(settings, listener, arguments.ready_fd))
    except SpoolFull as error:
        report(arguments.ready_fd, {"error": f"the spool cannot be written: {error}"})
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
