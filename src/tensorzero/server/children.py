"""Child processes of the supervisor: spawned, awaited until ready, reaped when they end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

log = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0
GO = b"go\n"


class StartError(Exception):
    """The gateway cannot start; the text says why and what would be right."""


@dataclass(slots=True, eq=False)
class Child:
    """A child that runs. Its standard input is a pipe that we hold as a sign of life."""

    name: str
    process: subprocess.Popen[bytes]
    ready_fd: int
    started_at: float = field(default_factory=time.monotonic)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, number: signal.Signals) -> None:
        if not self.ended.is_set():
            self.process.send_signal(number)

    def go(self) -> None:
        """Let a child that has loaded serve."""
        pipe = self.process.stdin
        if pipe is not None and not pipe.closed:
            try:
                pipe.write(GO)
                pipe.flush()
            except BrokenPipeError:
                log.debug("the %s ended before it was let go", self.name)

    def how_it_ended(self) -> str:
        status = self.process.returncode
        if status is not None and status < 0:
            return f"killed by {signal.Signals(-status).name}"
        return f"exit status {status}"


class Children:
    """All children of this process. ``reap`` is to be called on SIGCHLD."""

    def __init__(self) -> None:
        self.running: set[Child] = set()

    def reap(self) -> None:
        for child in tuple(self.running):
            if child.process.poll() is not None:
                self.running.discard(child)
                if child.process.stdin is not None:
                    child.process.stdin.close()
                child.ended.set()

    def spawn(
        self, name: str, module: str, options: Mapping[str, str | int], fds: tuple[int, ...]
    ) -> Child:
        """Start ``python -m module --option value …``, which inherits ``fds``."""
        read_fd, write_fd = os.pipe()
        command = [sys.executable, "-P", "-m", module, "--ready-fd", str(write_fd)]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        # A Ctrl-C or a closed terminal reaches the whole process group. What it means is the
        # supervisor's to say, so children never see these signals (the mask is inherited).
        withheld = {signal.SIGINT, signal.SIGHUP}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, withheld)
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[write_fd, *fds])
        except OSError as error:
            os.close(read_fd)
            raise StartError(f"the {name} cannot be started: {error.strerror}") from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(write_fd)
        child = Child(name, process, read_fd)
        self.running.add(child)
        return child

    async def ready(self, child: Child) -> dict[str, object]:
        """What the child reports once it has started. Raises ``StartError``; ends it then."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        pipe = os.fdopen(child.ready_fd, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await reader.readline()
        except TimeoutError:
            child.send(signal.SIGKILL)
            raise StartError(f"the {child.name} did not start in {START_TIMEOUT_S:g} s") from None
        finally:
            transport.close()
        if not line:
            await child.ended.wait()
            raise StartError(f"the {child.name} did not start ({child.how_it_ended()})")
        answer = orjson.loads(line)
        if "error" in answer:
            raise StartError(str(answer["error"]))
        return dict(answer)

    async def end(self, *children: Child) -> None:
        """Ask to end in order, and wait as long as it takes."""
        for child in children:
            child.send(signal.SIGTERM)
        for child in children:
            await child.ended.wait()

    def kill(self) -> None:
        """End all at once."""
        for child in self.running:
            child.send(signal.SIGKILL)
