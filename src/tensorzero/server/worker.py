"""A worker: one event loop, one ``uvicorn.Server`` on the supervisor's socket."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
import uvloop

from tensorzero.api.app import App
from tensorzero.api.body import MAX_BODY_BYTES
from tensorzero.api.inference import InferenceRoute
from tensorzero.api.metrics import MetricsRoute
from tensorzero.api.native import NativeFace
from tensorzero.api.openai.chat import ChatCompletionsFace
from tensorzero.api.openai.embeddings import embeddings_route
from tensorzero.api.openai.models import ModelsRoute
from tensorzero.api.use_cases import exact_posts, use_case_routes
from tensorzero.config.config import Config
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load_captured
from tensorzero.gateway.feedback_targets import FeedbackTargets
from tensorzero.gateway.metrics import Metrics
from tensorzero.gateway.object_store import ConfiguredStore, open_store
from tensorzero.gateway.recorder import NullRecorder, Recorder
from tensorzero.gateway.running import Running
from tensorzero.gateway.services import Services
from tensorzero.models.embedding import EmbeddingTable
from tensorzero.models.table import ModelTable
from tensorzero.providers.base import UPSTREAM_HOSTS, ProviderContext, upstream_hosts
from tensorzero.server.database_reads import DatabaseReads
from tensorzero.server.feedback_spool import FeedbackSpool
from tensorzero.server.logs import set_up_logs
from tensorzero.server.parent import report, watch_parent
from tensorzero.server.recording import ShipperLink, SpoolRecorder
from tensorzero.server.settings import SEGMENT_BYTES, SPOOL_LIMIT_BYTES, Settings
from tensorzero.server.warm_up import warm_up
from tensorzero.types.errors import GatewayError
from tensorzero.version import VERSION
from tzcore.client import Pool
from tzcore.http1 import Limits, make_protocol
from tzcore.http1_plain import plain_protocol
from tzcore.metrics import Counters
from tzcore.spool import SpoolFull, Writer
from tzcore.targets import TargetMemory
from tzcore.uuid7 import uuid7

# By its full name: this module runs as ``__main__``.
log = logging.getLogger("tensorzero.server.worker")

REMINDER_S = 5.0
PLAIN_HTTP = "TENSORZERO_PLAIN_HTTP"
"""1: our compiled protocol serves nothing; for finding out whether a fault is its."""


def _store(config: Config, settings: Settings) -> tuple[ConfiguredStore | None, bool]:
    """The object store, and whether its place is decided (also: decided not to store)."""
    if config.object_storage is not None:
        return open_store(config.object_storage.kind), True
    if not settings.records:
        return None, False
    path = str((Path(settings.data_dir) / "files").resolve())
    return open_store({"type": "filesystem", "path": path}), True


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of."""

    pool: Pool
    spool: SpoolRecorder | None
    models: ModelTable
    tasks: set[Running]
    app: App


def _open_spool(settings: Settings, memory_fd: int, *, required: bool) -> SpoolRecorder:
    """A folder of our own, and the link to the shipper. Raises ``SpoolFull`` and ``OSError``."""
    root = Path(settings.spool_dir)
    keep_free_bytes = settings.keep_free_bytes()

    def make(folder: str, segment_bytes: int) -> Writer:
        return Writer(
            str(root / folder),
            segment_bytes=segment_bytes,
            limit_bytes=SPOOL_LIMIT_BYTES,
            keep_free_bytes=keep_free_bytes,
        )

    name = uuid7()
    link = ShipperLink(settings.control_socket, name)
    recorder = SpoolRecorder(
        make(name, SEGMENT_BYTES),
        link,
        required=required,
        feedback=FeedbackSpool(name, make),
        memory=TargetMemory(memory_fd),
    )
    link.start()
    return recorder


def _assemble(
    settings: Settings,
    config: Config,
    counter_fds: Sequence[int],
    memory_fd: int,
    number: int,
) -> Parts:
    """Wire it all up. ``counter_fds``: the files of figures of all workers, ours at ``number``;
    ``memory_fd``: the file of what all have recorded lately.

    Raises ``SpoolFull`` and ``OSError``.
    """
    own_fd = counter_fds[number]
    pool = Pool(user_agent=f"TensorZero/{VERSION}".encode())
    hosts = upstream_hosts(os.environ)
    if hosts:
        log.warning("%s is set: %s is looked for elsewhere", UPSTREAM_HOSTS, ", ".join(hosts))
    context = ProviderContext(
        pool, config.gateway.global_outbound_http_timeout_ms, config.gateway.debug, hosts
    )
    observability = config.gateway.observability
    spool: SpoolRecorder | None = None
    recorder: Recorder = NullRecorder()
    if settings.records:
        spool = _open_spool(settings, memory_fd, required=observability.enabled is True)
        recorder = spool
    store, decided = _store(config, settings)
    reads = DatabaseReads(settings, spool)
    services = Services(
        config=config,
        models=ModelTable(config.models, config.shorthands, context),
        embeddings=EmbeddingTable(config.embedding_models, config.shorthands, context),
        recorder=recorder,
        records=settings.records,
        store=store,
        store_decided=decided,
        reads=reads,
        # A client of its own: long queries of others do not hold feedback up.
        feedback_targets=FeedbackTargets(DatabaseReads(settings, spool), recorder),
        metrics=Metrics(Counters(own_fd), config.gateway.latency_overhead_buckets),
        waits_for_database=observability.waits_for_database,
        lock_dir=str(Path(settings.data_dir) / "locks"),
    )
    tasks: set[Running] = set()
    paths = use_case_routes(services, tasks)
    app = App(
        paths=paths,
        posts={
            **exact_posts(paths),
            "/inference": InferenceRoute(services, tasks, NativeFace()),
            "/openai/v1/chat/completions": InferenceRoute(services, tasks, ChatCompletionsFace()),
            "/openai/v1/embeddings": embeddings_route(services, tasks),
        },
        health=reads,
        version=VERSION,
        config_hash=config.snapshot.hash,
        base_path=config.gateway.base_path,
        store=store,
        metrics=MetricsRoute(counter_fds),
        models=ModelsRoute(config, services.models, services.embeddings),
        error_json=config.gateway.unstable_error_json,
    )
    return Parts(pool, spool, services.models, tasks, app)


def _server(app: App) -> uvicorn.Server:
    limits = Limits(max_body_bytes=MAX_BODY_BYTES)
    if os.environ.get(PLAIN_HTTP) == "1":
        log.warning("%s is set: every request takes the slow way", PLAIN_HTTP)
        protocol: Callable[..., asyncio.Protocol] = plain_protocol(limits)
    else:
        routes = {(b"POST", path.encode()): route for path, route in app.posts.items()}
        protocol = make_protocol(routes, limits=limits)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol,  # type: ignore[arg-type]  # any protocol factory is taken
            timeout_keep_alive=int(limits.idle_timeout_s),
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            # On every answer, those of the parsers included.
            headers=[("x-tensorzero-gateway-version", VERSION)],
            proxy_headers=False,
        )
    )
    server.config.load()
    # uvicorn sets them with its first tick, which comes after the first connection may have.
    server.server_state.default_headers = server.config.encoded_headers
    return server


async def serve(
    settings: Settings,
    config: Config,
    listener: socket.socket,
    ready_fd: int,
    counter_fds: Sequence[int],
    memory_fd: int,
    number: int,
) -> int:
    """Serve, once the supervisor says so, until told to stop; then finish what is running.

    Returns the exit status.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    # uvicorn's own handlers raise the signal again once it has stopped; ours end with 0.
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    parent = watch_parent(stopping.set)
    try:
        parts = _assemble(settings, config, counter_fds, memory_fd, number)
        await parts.models.start()
    except (SpoolFull, OSError, GatewayError) as error:
        report(ready_fd, {"error": f"a worker cannot start: {error}"})
        return 1
    server = _server(parts.app)
    _settle_garbage_collection()
    # A start that fails elsewhere ends us before anybody says go.
    waits = {loop.create_task(parent.go()), loop.create_task(stopping.wait())}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    stopper = loop.create_task(_stop_when_told(stopping, server, parts.tasks))
    announcement = loop.create_task(_announce(server, ready_fd))
    types = config.shorthands.likely_types()
    warming = loop.create_task(warm_up(types, reads=settings.records))
    if parent.alive and not stopping.is_set():
        await server._serve([listener])
    await announcement
    warming.cancel()
    while parts.tasks:
        # Their clients are gone, their rows are not written yet.
        await asyncio.gather(*(task.join() for task in parts.tasks))
    stopper.cancel()
    await parts.pool.aclose()
    if parts.spool is not None:
        parts.spool.close()
    return 0


async def _stop_when_told(
    stopping: asyncio.Event, server: uvicorn.Server, inferences: set[Running]
) -> None:
    """Begin the graceful stop, and say now and then what it still waits for."""
    await stopping.wait()
    server.should_exit = True
    while True:
        await asyncio.sleep(REMINDER_S)
        log.info(
            "stopping; open requests: %d inferences, %d others; open connections: %d",
            *(
                len(inferences),
                len(server.server_state.tasks),
                len(server.server_state.connections),
            ),
        )


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
    """The process; its output and its exit status are the supervisor's to read."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", required=True)
    parser.add_argument("--start-fd", type=int, required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--counter-fds", required=True)
    parser.add_argument("--memory-fd", type=int, required=True)
    parser.add_argument("--number", type=int, required=True)
    arguments = parser.parse_args()
    settings = Settings.from_json(arguments.settings)
    set_up_logs(settings.log_format, debug=settings.debug)
    listener = socket.socket(fileno=arguments.listen_fd)
    with open(arguments.start_fd, "rb") as file:
        captured = file.read()
    try:
        config = load_captured(captured)
    except ConfigErrors as error:
        report(arguments.ready_fd, {"error": f"a worker cannot start: {error}"})
        raise SystemExit(1) from None
    try:
        fds = [int(fd) for fd in arguments.counter_fds.split(",")]
        service = serve(
            *(settings, config, listener, arguments.ready_fd),
            *(fds, arguments.memory_fd, arguments.number),
        )
        raise SystemExit(uvloop.run(service))
    except Exception:
        log.exception("a worker ends on an unexpected error")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
