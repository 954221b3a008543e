"""Compiles the load generator and the mock provider with the system's C compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "native"
BUILT = HERE / ".build"
PROGRAMS = {"load": ("load.c", "client.c"), "mock": ("mock.c", "answers.c")}
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror=implicit")


def build(folder: Path = BUILT) -> Path:
    """Compile what is older than its sources; returns the folder of the programs.

    Raises ``SystemExit`` with what is missing or wrong.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise SystemExit("benchmarks: no C compiler found (`cc`, or set CC)")
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    for program, sources in PROGRAMS.items():
        target = folder / program
        if target.exists() and target.stat().st_mtime > newest:
            continue
        # Under another name first: a build that is cut off leaves nothing behind that looks done.
        fresh = folder / f"{program}.{os.getpid()}"
        command = [compiler, *FLAGS, "-o", str(fresh), *(str(SOURCES / name) for name in sources)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"benchmarks: {program} does not compile:\n{done.stderr}")
        fresh.replace(target)
    return folder


if __name__ == "__main__":
    print(build(), file=sys.stderr)
