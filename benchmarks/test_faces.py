"""OpenAI's face costs about what the native one costs.

The bar is a tenth more; the limit leaves room for the noise of a shared machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from faces import Faces, compare

LIMIT = 1.2
TRIES = 3


def _check(works: Mapping[str, Callable[[], object]]) -> None:
    for _ in range(TRIES):
        found = compare(works)
        ratio = found["openai"] / found["native"]
        if ratio <= LIMIT:
            break
    told = ", ".join(f"{name} {seconds * 1e6:.1f} µs" for name, seconds in found.items())
    print(f"{told}: {ratio:.3f}")
    assert ratio <= LIMIT, told


def test_a_whole_inference(tmp_path: Path) -> None:
    faces = Faces(tmp_path)
    _check({name: lambda name=name: faces.whole(name) for name in ("native", "openai")})
    faces.close()


def test_a_whole_stream(tmp_path: Path) -> None:
    faces = Faces(tmp_path)
    _check({name: lambda name=name: faces.streamed(name) for name in ("native", "openai")})
    faces.close()
