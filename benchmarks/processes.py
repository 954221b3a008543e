"""The processes that a benchmark starts, and what the kernel says they cost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from build import build

TICKS = os.sysconf("SC_CLK_TCK")
START_S = 60.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all threads, ended ones included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB (10^6 bytes). ``pss`` shares out what several processes map; ``own`` is ``rss``
    without the pages of spool files, which a worker maps up to 16 MB at a time: they belong to
    the page cache, and how many there are says how far the current segment has got."""

    rss: float
    pss: float
    own: float


def memory(pid: int) -> Memory:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = {key: int(value) * 1024 / 1e6 for key, value in re.findall(r"(\w+):\s+(\d+) kB", text)}
    spool = 0
    mapped = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if line.startswith("Rss:"):
            spool += int(line.split()[1]) if "/spool/" in mapped else 0
        elif "-" in line.split(" ", 1)[0]:
            mapped = line
    return Memory(sizes["Rss"], sizes["Pss"], sizes["Rss"] - spool * 1024 / 1e6)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def exit_on_sigterm() -> None:
    """Let SIGTERM unwind like Ctrl-C, so that every ``with`` below ends its processes."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def end(process: subprocess.Popen[bytes], wait_s: float = 40.0) -> None:
    """SIGTERM, and SIGKILL for its whole group when that does not end it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=wait_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Mock:
    """The mock provider; see ``native/mock.c`` for its options."""

    def __init__(self, **options: int) -> None:
        flags = [f for k, v in options.items() for f in (f"--{k.replace('_', '-')}", str(v))]
        self.process = subprocess.Popen(
            [str(build() / "mock"), *flags], stdout=subprocess.PIPE, process_group=0
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening on port "):
            raise SystemExit(f"benchmarks: the mock provider does not start: {line}")
        self.port = int(line.rsplit(" ", 1)[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    @property
    def pids(self) -> list[int]:
        return [self.process.pid]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)


NGINX_CONF = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 1000000000; client_max_body_size 64m;
  client_body_buffer_size 256k; client_body_temp_path {folder}/body; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream mock {{ server 127.0.0.1:{mock}; keepalive 4096; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering {buffering};
    }}
  }}
}}
"""


class Nginx:
    """A bare reverse proxy with one worker: what an exchange through a proxy costs at least."""

    def __init__(self, mock: Mock, *, buffering: bool = True) -> None:
        program = self.program()
        assert program is not None
        self.folder = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
        self.port = free_port()
        conf = self.folder / "nginx.conf"
        switch = "on" if buffering else "off"
        conf.write_text(
            NGINX_CONF.format(folder=self.folder, mock=mock.port, port=self.port, buffering=switch)
        )
        # Its worker changes to another user, who must be able to write below the folder.
        self.folder.chmod(0o755)
        self.process = subprocess.Popen(
            [program, "-c", str(conf), "-e", str(self.folder / "error.log")],
            process_group=0,
        )
        ends = time.monotonic() + START_S
        while not _accepts(self.port):
            if self.process.poll() is not None or time.monotonic() > ends:
                log = self.folder / "error.log"
                text = log.read_text() if log.exists() else ""
                self.__exit__()
                raise SystemExit(f"benchmarks: nginx does not start: {text}")
            time.sleep(0.01)

    @staticmethod
    def program() -> str | None:
        return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    @property
    def pids(self) -> list[int]:
        return children(self.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children(parent: int) -> list[int]:
    """Direct children of a process, oldest first."""
    found = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return sorted(set(found))


CONFIG = """
[gateway.observability]
enabled = {records}

[functions.bench]
type = "chat"
[functions.bench.variants.plain]
type = "chat_completion"
model = "mock"

[models.mock]
routing = ["mock"]
[models.mock.providers.mock]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "http://127.0.0.1:{mock}/v1"
api_key_location = "none"
"""


class Gateway:
    """Our gateway as a user runs it, with a data directory of its own."""

    def __init__(
        self,
        mock: Mock | None,
        *,
        records: bool = True,
        workers: int = 1,
        config_text: str | None = None,
        extra: str = "",
    ) -> None:
        """``config_text`` instead of one function that asks ``mock``; ``extra`` is added."""
        self.folder = Path(tempfile.mkdtemp(prefix="bench-gateway-"))
        self.data_dir = self.folder / "data"
        self.log_path = self.folder / "log"
        self.records = records
        self.workers = workers
        self.config = self.folder / "tensorzero.toml"
        if config_text is None:
            assert mock is not None
            config_text = CONFIG.format(records=str(records).lower(), mock=mock.port)
        self.config.write_text(config_text + extra)
        self.port = free_port()
        self.environment = {k: v for k, v in os.environ.items() if "TENSORZERO_" not in k}
        self.start()

    def start(self) -> None:
        """Once more, after it has ended: with the same data."""
        self.started_at = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tensorzero.cli.main", "gateway"),
                    *("--config-file", str(self.config), "--data-dir", str(self.data_dir)),
                    *("--bind-address", f"127.0.0.1:{self.port}"),
                    *("--workers", str(self.workers)),
                ],
                stdout=log,
                stderr=log,
                env=self.environment,
                process_group=0,
            )

    def wait(self) -> Self:
        """Until it says that it listens."""
        while b"listening on" not in (text := self.log_path.read_bytes()):
            late = time.monotonic() - self.started_at > START_S
            if late or self.process.poll() is not None:
                self.__exit__()
                raise SystemExit(f"benchmarks: the gateway does not start:\n{text.decode()}")
            time.sleep(0.01)
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/inference"

    def _running(self, module: str) -> list[int]:
        return [
            pid
            for pid in children(self.process.pid)
            if module in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        ]

    @property
    def worker_pids(self) -> list[int]:
        return self._running("tensorzero.server.worker")

    @property
    def shipper_pids(self) -> list[int]:
        return self._running("tensorzero.server.shipping")

    @property
    def pids(self) -> list[int]:
        return [self.process.pid, *children(self.process.pid)]

    def query(self, sql: str) -> str:
        """What ``tensorzero query`` prints."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tensorzero.cli.main", "query"),
                *("--data-dir", str(self.data_dir), sql),
            ],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"benchmarks: `tensorzero query` failed: {done.stderr}")
        return done.stdout.strip()

    def rows(self) -> int:
        """Inferences in the database."""
        return int(self.query("SELECT count() FROM ChatInference"))

    def wait_for_rows(self, wanted: int, limit_s: float) -> tuple[int, float]:
        """Until ``wanted`` are in the database; returns how many are, and how long it took."""
        started = time.monotonic()
        while (found := self.rows()) < wanted and time.monotonic() - started < limit_s:
            time.sleep(0.5)
        return found, time.monotonic() - started

    def __enter__(self) -> Self:
        return self.wait()

    def __exit__(self, *_: object) -> None:
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def busy_seconds() -> float:
    """Processor time that the whole machine has spent so far, waiting for disks not counted."""
    user, nice, system, _idle, _wait, interrupt, soft, stolen = (
        int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + interrupt + soft + stolen) / TICKS


def wait_until_quiet(pids: list[int], limit_s: float = 60.0) -> float | None:
    """Until these processes take under 3 % of a core; ``None`` when the time is over first.

    Returns how many cores everything else on the machine kept busy at that moment.
    """
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        started, before, all_before = time.monotonic(), sum(map(cpu_seconds, pids)), busy_seconds()
        time.sleep(0.7)
        used = sum(map(cpu_seconds, pids)) - before
        if used <= 0.02:
            return max(0.0, busy_seconds() - all_before - used) / (time.monotonic() - started)
    return None


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
