"""What a request costs by the kernel's accounts: processor time, and the time to start."""

from __future__ import annotations

import socket
import time
from compileall import compile_dir
from contextlib import ExitStack
from pathlib import Path

from loads import Shape
from processes import Gateway, Mock, cpu_seconds, wait_until_quiet
from report import median, number, say, table
from targets import Options, Target, check_rows, quiet, shown, start_targets

import tensorzero
import tzcore


def _spent(pids: list[int]) -> float:
    return sum(map(cpu_seconds, pids))


def cpu(options: Options) -> None:
    """Processor time of a request: user and system time of each process over many requests."""
    for shape in options.shapes:
        requests = options.requests if shape == "small" else max(options.requests // 10, 1000)
        with ExitStack() as stack:
            mock = stack.enter_context(Mock())
            targets = start_targets(stack, options, mock, direct=False)
            answered: dict[str, int] = {}
            rows = []
            for target in targets:
                quiet(options, targets)
                say(f"  {shape}, {requests:,} requests: {target.name}")
                rows.append(_cpu_row(options, target, shape, requests, answered))
            heads = (
                *("what", "worker µs", "shipper + database µs", "supervisor µs"),
                *("answers/s", "requests", "errors"),
            )
            print(table(f"Processor time of a request, {shown(shape)}", heads, rows))
            print(check_rows(targets, answered), "\n", flush=True)


def _cpu_row(
    options: Options, target: Target, shape: Shape, requests: int, answered: dict[str, int]
) -> list[str]:
    gateway = target.gateway
    # Caches fill and lazy imports happen before the count begins.
    warm = target.load(options, shape, seconds=30, warmup=0, requests=2000)
    wait_until_quiet(target.pids())
    workers = gateway.worker_pids if gateway else target.pids()
    shippers = gateway.shipper_pids if gateway else []
    parents = [gateway.process.pid] if gateway else []
    before = [_spent(pids) for pids in (workers, shippers, parents)]
    result = target.load(options, shape, seconds=300, warmup=0, requests=requests)
    # Rows that wait in the spool are part of the cost.
    wait_until_quiet(target.pids(), limit_s=120)
    after = [_spent(pids) for pids in (workers, shippers, parents)]
    answered[target.name] = warm.good_total + result.good_total
    each = [(b - a) / max(result.good_total, 1) * 1e6 for a, b in zip(before, after, strict=True)]
    options.results[f"cpu/{shape}/{target.name}"] = {
        "worker_us": each[0],
        "shipper_us": each[1],
        "supervisor_us": each[2],
        "load": result.raw,
    }
    return [
        target.name,
        number(each[0]),
        number(each[1]) if shippers else "-",
        number(each[2]) if parents else "-",
        number(result.throughput),
        f"{result.good_total:,}",
        str(result.errors),
    ]


def start(options: Options) -> None:
    """Time from the start of the process to the first answer."""
    request = options.body("native", "small").read_bytes()
    # As pip leaves what it installs: a start does not compile.
    for package in (tensorzero, tzcore):
        compile_dir(Path(package.__path__[0]), quiet=1)
    rows = []
    for records in (True, False):
        times = []
        for run in range(max(options.runs, 3)):
            say(f"  recording {'on' if records else 'off'}, start {run + 1}")
            with Mock() as mock:
                gateway = Gateway(mock, records=records)
                try:
                    times.append(_first_answer(gateway, request) - gateway.started_at)
                finally:
                    gateway.__exit__()
        options.results[f"start/{'on' if records else 'off'}"] = times
        name = "recording on, new embedded database" if records else "recording off"
        rows.append([name, f"{median(times):.2f}", f"{min(times):.2f}", f"{max(times):.2f}"])
    print(
        table("Start to first answer", ("what", "median s", "least s", "most s"), rows), flush=True
    )


def _first_answer(gateway: Gateway, request: bytes) -> float:
    head = f"POST /inference HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request)}\r\n\r\n".encode()
    while time.monotonic() - gateway.started_at < 60 and gateway.process.poll() is None:
        with socket.socket() as client:
            # It listens before a worker is there to accept: the answer then comes late, not never.
            client.settimeout(60)
            if client.connect_ex(("127.0.0.1", gateway.port)) == 0:
                client.sendall(head + request)
                if client.recv(65536).startswith(b"HTTP/1.1 200"):
                    return time.monotonic()
        time.sleep(0.002)
    raise SystemExit(f"benchmarks: no answer: {Path(gateway.log_path).read_text()}")
