"""A gateway that records nothing: it starts in a second, and shows processes and logs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.running import Gateway

CONFIG = "[gateway]\nobservability = { enabled = false }\n"
INPUT = {"messages": [{"role": "user", "content": "hi"}]}


def silent(
    folder: Path,
    extra: str = "",
    *,
    workers: int = 1,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Gateway:
    """Run it with the config ``CONFIG`` and ``extra``."""
    config = folder / "tensorzero.toml"
    config.write_text(CONFIG + extra)
    return Gateway(
        config, folder / "data", workers=workers, options=options, environment=environment
    )


def body(model: str = "dummy::text", **fields: object) -> dict[str, object]:
    """A request for one of the built-in models."""
    return {"model_name": model, "input": INPUT, **fields}
