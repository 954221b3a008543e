"""What tests of the documentation's pages share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def shipped_config(folder: Path, extra: str = "") -> Path:
    """The configuration that `make run` starts with, and a page's own, on any port."""
    text = (ROOT / "config" / "tensorzero.toml").read_text()
    text = text.replace('"functions/', f'"{ROOT}/config/functions/')
    config = folder / "tensorzero.toml"
    config.write_text(text.replace('bind_address = "127.0.0.1:3000"\n', "") + extra)
    return config


def fits(shown: Any, given: Any) -> bool:
    """Whether ``given`` is what is shown; ``…`` stands for anything."""
    if shown == "…":
        return True
    if isinstance(shown, dict):
        return (
            isinstance(given, dict)
            and list(shown) == list(given)
            and all(fits(shown[key], given[key]) for key in shown)
        )
    if isinstance(shown, list):
        return (
            isinstance(given, list)
            and len(shown) == len(given)
            and all(fits(one, other) for one, other in zip(shown, given, strict=True))
        )
    return bool(shown == given)
