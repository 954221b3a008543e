"""The supervisor: holds the listening socket, spawns and restarts the others, stops in order.

Small, and it never imports the database engine.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from tensorzero.config.config import Config
from tensorzero.server.settings import Settings

log = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0
SLOT_WAIT_S = 10.0
RESTART_PAUSE_S = 0.2


class StartError(Exception):
    """The gateway cannot start; the text says why and what would be right."""


@dataclass(slots=True)
class Child:
    """A running child; ``pipe`` is the write end of its standard input, held as a sign of life."""

    name: str
    process: subprocess.Popen[bytes]


def take_slot(data_dir: Path, *, shared: bool) -> tuple[Path, int]:
    """A spool folder of our own and the descriptor that locks it.

    With the embedded database there is one (``spool/0``) and we wait for it; with a server
    several gateways may share the data directory, each in the first free folder.
    """
    ends = time.monotonic() + SLOT_WAIT_S
    number = 0
    while True:
        folder = data_dir / "spool" / str(number)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(folder.parent / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
            os.close(fd)
            if shared:
                number += 1
                continue
            if time.monotonic() > ends:
                raise StartError(
                    f"The data directory {data_dir} is in use by another gateway "
                    f"(process {holder or 'unknown'}). Stop it, or choose another `--data-dir`."
                ) from None
            time.sleep(0.1)
            continue
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        return folder, fd


class Supervisor:
    """Starts a shipper and the workers, and keeps them running until it is told to stop."""

    def __init__(self, settings: Settings, config: Config, listener: socket.socket, slot: int):
        self.settings = settings
        self.config = config
        self.listener = listener
        self.slot = slot
        self.stopping = False
        self.shipper: Child | None = None
        self.workers: list[Child] = []

    def run(self, announce: str) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit status. Raises ``StartError``."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._stop_later)
        try:
            database = "not recording"
            if self.settings.records:
                self.shipper, answer = self._start_shipper()
                database = str(answer.get("database"))
            for _ in range(self.settings.workers):
                self.workers.append(self._start_worker())
        except StartError:
            self._end_all()
            raise
        print(f"{announce}, database {database}", flush=True)
        while not self.stopping:
            self._restart_dead()
            time.sleep(0.05)
        self._end_all()
        return 0

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _stop_later(self, *_: object) -> None:
        signal.signal(signal.SIGALRM, self._stop)
        signal.alarm(1)

    def _spawn(
        self, name: str, module: str, options: list[str], fds: list[int]
    ) -> tuple[Child, dict[str, object]]:
        read_fd, write_fd = os.pipe()
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    module,
                    "--settings",
                    self.settings.to_json(),
                    "--ready-fd",
                    str(write_fd),
                    *options,
                ],
                stdin=subprocess.PIPE,
                pass_fds=[write_fd, self.slot, *fds],
            )
        finally:
            os.close(write_fd)
        try:
            answer = self._await_ready(read_fd, name)
        except StartError:
            process.kill()
            process.wait()
            raise
        finally:
            os.close(read_fd)
        return Child(name, process), answer

    def _await_ready(self, fd: int, name: str) -> dict[str, object]:
        ends = time.monotonic() + START_TIMEOUT_S
        data = b""
        while not data.endswith(b"\n"):
            ready, _, _ = select.select([fd], [], [], max(0.0, ends - time.monotonic()))
            chunk = os.read(fd, 65536) if ready else b""
            if not chunk:
                raise StartError(f"the {name} process did not start; its log above says why")
            data += chunk
        answer = orjson.loads(data)
        if "error" in answer:
            raise StartError(str(answer["error"]))
        return dict(answer)

    def _start_shipper(self) -> tuple[Child, dict[str, object]]:
        batch = self.config.gateway.observability.batch_writes
        start = {
            "config_toml": self.config.snapshot.toml,
            "config_hash": self.config.snapshot.hash,
            "extra_templates": dict(self.config.snapshot.extra_templates),
            "disable_automatic_migrations": self.config.clickhouse.disable_automatic_migrations,
            "flush_interval_ms": batch.flush_interval_ms,
            "max_rows": batch.max_rows,
        }
        fd = os.memfd_create("start")
        try:
            os.write(fd, orjson.dumps(start))
            os.lseek(fd, 0, os.SEEK_SET)
            options = ["--start-fd", str(fd)]
            return self._spawn("shipper", "tensorzero.server.shipping", options, [fd])
        finally:
            os.close(fd)

    def _start_worker(self) -> Child:
        fd = self.listener.fileno()
        options = ["--listen-fd", str(fd)]
        child, _ = self._spawn("worker", "tensorzero.server.worker", options, [fd])
        return child

    def _restart_dead(self) -> None:
        shipper = self.shipper
        if shipper is not None and shipper.process.poll() is not None:
            log.error(
                "the shipper ended (status %s), starting it again", shipper.process.returncode
            )
            self.shipper = self._again(shipper, lambda: self._start_shipper()[0])
        for index, worker in enumerate(self.workers):
            if worker.process.poll() is not None:
                log.error(
                    "a worker ended (status %s), starting it again", worker.process.returncode
                )
                self.workers[index] = self._again(worker, self._start_worker)

    def _again(self, old: Child, start: object) -> Child:
        time.sleep(RESTART_PAUSE_S)
        if self.stopping or not callable(start):
            return old
        try:
            child: Child = start()
        except StartError as error:
            log.error("the %s does not start: %s", old.name, error)
            return old
        return child

    def _end_all(self) -> None:
        """Workers first, with their running requests; then the shipper, with their rows."""
        self.listener.close()
        for child in self.workers:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        for child in self.workers:
            child.process.wait()
        if self.shipper is not None:
            if self.shipper.process.poll() is None:
                self.shipper.process.send_signal(signal.SIGTERM)
            self.shipper.process.wait()
