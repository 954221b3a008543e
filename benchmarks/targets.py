"""What a section measures: the same few targets, each reached by the load generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loads import Result, Shape, body, load
from processes import Gateway, Mock, Nginx, wait_until_quiet
from report import median, say

Form = Literal["native", "openai"]


@dataclass(slots=True)
class Options:
    """What the command line chose; ``results`` gathers every run for ``--json``,
    ``others`` how many cores other work took between measurements."""

    seconds: float
    runs: int
    rates: tuple[int, ...]
    shapes: tuple[Shape, ...]
    workers: tuple[int, ...]
    requests: int
    folder: Path
    sustained_rate: int = 10_000
    sustained_seconds: float = 60.0
    memory_requests: tuple[int, ...] = (100_000, 1_000_000)
    results: dict[str, Any] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)

    def body(self, form: Form, shape: Shape, model: str = "gpt-4o-mini") -> Path:
        """The file that holds a request."""
        path = self.folder / f"{form}-{shape}-{model.replace(':', '_')}.json"
        if not path.exists():
            path.write_bytes(body(form, shape, model))
        return path


@dataclass(slots=True)
class Target:
    """Something to send requests to; ``base`` marks the one that ratios are taken of."""

    name: str
    url: str
    form: Form
    pids: Callable[[], list[int]]
    gateway: Gateway | None = None
    base: bool = False
    headers: tuple[str, ...] = ()
    model: str = "gpt-4o-mini"

    def load(self, options: Options, shape: Shape, **how: Any) -> Result:
        request = options.body(self.form, shape, self.model)
        stream = shape == "stream"
        return load(self.url, request, stream=stream, headers=self.headers, **how)


def gateway_target(gateway: Gateway) -> Target:
    plural = "s" if gateway.workers > 1 else ""
    recording = "on" if gateway.records else "off"
    name = f"gateway, {gateway.workers} worker{plural}, recording {recording}"
    return Target(name, gateway.url, "native", lambda: gateway.pids, gateway)


def start_targets(stack: ExitStack, options: Options, mock: Mock, *, direct: bool) -> list[Target]:
    """nginx if it is there, and a gateway for each number of workers, recording and not;
    ``direct`` adds the mock itself."""
    targets = []
    if direct:
        targets.append(Target("straight to the mock", mock.url, "openai", list))
    if Nginx.program() is None:
        say("nginx is not on PATH (Debian: nginx-light): its row is skipped, and the ratios")
    else:
        nginx = stack.enter_context(Nginx(mock))
        targets.append(
            Target("nginx, 1 worker", nginx.url, "openai", lambda: nginx.pids, base=True)
        )
    for workers in options.workers:
        for records in (True, False):
            gateway = stack.enter_context(Gateway(mock, records=records, workers=workers))
            targets.append(gateway_target(gateway))
    return targets


def quiet(options: Options, targets: Sequence[Target]) -> None:
    """What an earlier run left to do, ours to write into the database above all, gets done."""
    pids = [pid for target in targets for pid in target.pids()]
    others = wait_until_quiet(pids)
    if others is None:
        say("  something is still working after 60 s; measuring anyway")
    else:
        options.others.append(others)


def other_work(options: Options) -> str:
    """How quiet the machine was between measurements."""
    if not options.others:
        return "Other work on the machine: not sampled."
    return (
        f"Other work on the machine between measurements: median {median(options.others):.2f} "
        f"cores, at most {max(options.others):.2f}."
    )


def check_rows(targets: Sequence[Target], answered: dict[str, int]) -> str:
    """Whether every answered request is in the database, one line for each that records."""
    lines = []
    for target in targets:
        if target.gateway is None or not target.gateway.records:
            continue
        wanted = answered.get(target.name, 0)
        found, took = target.gateway.wait_for_rows(wanted, 60)
        verdict = "all there" if found == wanted else f"{found - wanted:+,}"
        lines.append(
            f"{target.name}: {wanted:,} answered, {found:,} in the database "
            f"{took:.1f} s after the end: {verdict}"
        )
    return "\n".join(lines)


def shown(shape: Shape) -> str:
    return {
        "small": "body of 160 bytes",
        "large": "body of 100 KB",
        "stream": "streams, body of 160 bytes",
    }[shape]
