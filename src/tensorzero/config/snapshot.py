"""The effective configuration as text, and its hash.

The hash changes with every setting and every referenced file's content, and with nothing else:
not with the split into files, formatting, key order, or where the folder lies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from blake3 import blake3

from tensorzero.config.paths import LoadedFile


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``toml``: the config with file contents embedded; ``hash``: decimal, at most 256 bits."""

    toml: str
    hash: str
    extra_templates: Mapping[str, str]


def make_snapshot(table: Mapping[str, Any], extra_templates: Mapping[str, str]) -> Snapshot:
    """The snapshot of a merged table whose paths have been resolved."""
    text = to_toml(embed(table))
    digest = blake3(text.encode() + b"\0")
    for name in sorted(extra_templates):
        digest.update(name.encode() + b"\0" + extra_templates[name].encode() + b"\0")
    number = int.from_bytes(digest.digest(), "big")
    return Snapshot(text, str(number), dict(extra_templates))


def to_toml(table: Mapping[str, Any]) -> str:
    """A table as TOML: keys sorted at every level, one spelling for each value."""
    return "".join(_lines(table, ()))


def embed(value: Any) -> Any:
    """Files in their JSON form."""
    if isinstance(value, LoadedFile):
        return {"__tensorzero_remapped_path": str(value), "__data": value.content}
    if isinstance(value, dict):
        return {key: embed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [embed(entry) for entry in value]
    return value


_BARE = re.compile(r"[A-Za-z0-9_-]+")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    return orjson.dumps(text).decode().replace("\x7f", "\\u007F")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else hex(value)
    if isinstance(value, float):
        return repr(value) if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(value[key])}" for key in sorted(value))
        return "{" + inner + "}"
    return str(value)


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    out: list[str] = []
    scalars = [key for key in sorted(table) if not isinstance(table[key], dict)]
    nested = [key for key in sorted(table) if isinstance(table[key], dict)]
    if path:
        out.append("[" + ".".join(_key(part) for part in path) + "]\n")
    out += [f"{_key(key)} = {_value(table[key])}\n" for key in scalars]
    for key in nested:
        out += _lines(table[key], (*path, key))
    return out
