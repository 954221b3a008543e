"""Requests of the benchmarks, and the load generator's answers as Python objects."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from build import build

Shape = Literal["small", "large", "stream"]
SHAPES: tuple[Shape, ...] = ("small", "large", "stream")
SMALL_BYTES = 160
LARGE_BYTES = 100_000


def body(form: Literal["native", "openai"], shape: Shape, model: str = "gpt-4o-mini") -> bytes:
    """A request of 160 bytes (``small``, ``stream``) or 100 KB in our form or the provider's."""
    size = LARGE_BYTES if shape == "large" else SMALL_BYTES
    messages = [{"role": "user", "content": ""}]
    request: dict[str, Any]
    if form == "native":
        request = {"function_name": "bench", "input": {"messages": messages}}
    else:
        request = {"model": model, "messages": messages}
    if shape == "stream":
        request["stream"] = True
    missing = size - len(json.dumps(request))
    text = "Tell me about the weather in the mountains. "
    messages[0]["content"] = (text * (missing // len(text) + 1))[: max(missing, 1)]
    return json.dumps(request).encode()


@dataclass(frozen=True, slots=True)
class Result:
    """One run of the load generator; times in microseconds."""

    raw: dict[str, Any]

    @property
    def errors(self) -> int:
        return int(self.raw["errors"])

    @property
    def good_total(self) -> int:
        """Good answers, those of the warm-up included."""
        return int(self.raw["good_total"])

    @property
    def throughput(self) -> float:
        """Good answers a second."""
        return float(self.raw["throughput"])

    def latency(self, percentile: str) -> float:
        return float(self.raw["latency_us"][percentile])

    def first_chunk(self, percentile: str) -> float:
        return float(self.raw["first_chunk_us"][percentile])


def load(
    url: str,
    request: Path,
    *,
    seconds: float,
    rate: float | None = None,
    connections: int = 64,
    warmup: float = 1.0,
    requests: int | None = None,
    timeout_s: float = 10.0,
    stream: bool = False,
    headers: tuple[str, ...] = (),
    expect: int = 200,
    leave: int | None = None,
) -> Result:
    """Run the load generator once; without ``rate`` as a closed loop.

    ``expect``: the status of a good answer; ``leave``: go away after so many bytes of it.
    """
    command = [
        *(str(build() / "load"), "--url", url, "--body", str(request)),
        *("--seconds", str(seconds), "--warmup", str(warmup), "--expect", str(expect)),
        *("--connections", str(connections), "--timeout", str(timeout_s)),
    ]
    if rate is not None:
        command += ["--rate", str(rate)]
    if requests is not None:
        command += ["--requests", str(requests)]
    if stream:
        command.append("--stream")
    if leave is not None:
        command += ["--leave", str(leave)]
    for header in headers:
        command += ["--header", header]
    longest = seconds + warmup + timeout_s + 30
    done = subprocess.run(command, capture_output=True, text=True, timeout=longest, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks: the load generator failed: {done.stderr}")
    return Result(json.loads(done.stdout))
