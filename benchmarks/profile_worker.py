"""Where a worker's time goes: ``make profile``.

Three views of the same thing: a flame graph (py-spy, an SVG to open in a browser), processor time
of a request by shared object (perf, where it is installed), and by stage (each stage called on its
own, the rest is sockets, HTTP and the event loop).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from budget import least
from build import BUILT
from loads import Result, Shape
from processes import Gateway, Mock, cpu_seconds, exit_on_sigterm, temporary_folder
from processes import wait_until_quiet as quiet
from report import machine, number, say, table
from stages import STAGES, HotPath
from targets import Options, Target, gateway_target


class Load:
    """64 busy connections in the background, for as long as the block lasts at least."""

    def __init__(self, options: Options, target: Target, shape: Shape, seconds: float) -> None:
        self.result: Result | None = None

        def run() -> None:
            self.result = target.load(options, shape, seconds=seconds, warmup=0)

        self.thread = threading.Thread(target=run)

    def __enter__(self) -> Load:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join()


def flame_graph(worker: int, seconds: float, output: Path) -> None:
    program = shutil.which(
        "py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    )
    if program is None:
        say("py-spy is not there (`pip install py-spy`): no flame graph")
        return
    command = [
        *(program, "record", "--native", "--pid", str(worker), "--duration", str(int(seconds))),
        *("--rate", "200", "--format", "flamegraph", "--output", str(output)),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds * 5 + 60, check=False
    )
    if done.returncode:
        say(f"py-spy failed: {done.stderr.strip()}")
    else:
        print(f"flame graph: {output}\n", flush=True)


def sampled(worker: int, seconds: float, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The share of a worker's samples in each shared object, and in each function; both empty
    without perf."""
    program = shutil.which("perf")
    if program is None:
        say("perf is not there: no table by shared object")
        return {}, {}
    data = str(folder / "perf.data")
    record = [program, "record", "-q", "-e", "cpu-clock", "-F", "2000", "-p", str(worker)]
    subprocess.run(
        [*record, "-o", data, "--", "sleep", str(seconds)],
        capture_output=True,
        timeout=seconds + 60,
        check=False,
    )

    def shares(by: str) -> dict[str, float]:
        report = [program, "report", "-i", data, "--stdio", "--sort", by, "-q"]
        done = subprocess.run(report, capture_output=True, text=True, timeout=120, check=False)
        lines = re.findall(r"^\s*([\d.]+)%\s+(.+?)[\s-]*$", done.stdout, re.MULTILINE)
        return {name: float(percent) / 100 for percent, name in lines}

    return shares("dso"), shares("symbol")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each view")
    parser.add_argument("--shape", choices=("small", "stream"), default="small")
    parser.add_argument("--output", type=Path, default=BUILT / "profile.svg")
    arguments = parser.parse_args()
    exit_on_sigterm()
    seconds = arguments.seconds
    print(machine(), "\n", flush=True)
    with temporary_folder() as folder, ExitStack() as stack:
        options = Options(seconds, 1, (), (), (1,), 0, folder)
        target = gateway_target(stack.enter_context(Gateway(stack.enter_context(Mock()))))
        gateway = target.gateway
        assert gateway is not None
        worker = gateway.worker_pids[0]
        # py-spy stops the worker for every sample: its load is not the one that is counted.
        with Load(options, target, arguments.shape, seconds + 4):
            flame_graph(worker, seconds, arguments.output.resolve())
        quiet(gateway.pids)
        before = cpu_seconds(worker)
        with Load(options, target, arguments.shape, seconds + 2) as load:
            objects, functions = sampled(worker, seconds, folder)
        assert load.result is not None
        each = (cpu_seconds(worker) - before) / max(load.result.good_total, 1) * 1e6
    print(
        f"worker: {each:.1f} µs of processor time a request ({load.result.good_total:,} requests)\n"
    )
    for title, shares in (("By shared object", objects), ("The costliest functions", functions)):
        rows = [
            [name, f"{share:.1%}", number(share * each)]
            for name, share in list(shares.items())[:20]
            if share >= 0.005
        ]
        if rows:
            print(table(title, ("what", "share", "µs a request"), rows))
    if arguments.shape == "small":
        print(table("By stage", ("what", "µs"), _stage_rows(each)))
        print("(the stages draft an e-mail from a template; the load above has plain text)")
    return 0


def _stage_rows(each: float) -> list[list[str]]:
    with temporary_folder() as folder:
        path = HotPath(folder)
        rows = [[stage, f"{least(getattr(path, stage)) * 1e6:.2f}"] for stage in STAGES]
        path.close()
    whole = float(rows[-1][1])
    rows[-1][0] = "all of these together, with what lies between"
    rows.append(["rest: sockets, HTTP, event loop, caches gone cold", f"{each - whole:.2f}"])
    return rows


if __name__ == "__main__":
    sys.exit(main())
