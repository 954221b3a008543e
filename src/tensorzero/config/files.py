"""Finds the config files that a glob names, reads and merges them.

Rules and texts: the contract's configuration page, sections 1.1 and 1.2.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorzero.config.errors import ConfigErrors

NO_MATCH = "No files matched the glob pattern. Ensure that the path exists, and contains at least one file."
METACHARACTERS = set("*?[]{}")


def glob_to_regex(pattern: str) -> re.Pattern[str]:
    """``*`` and ``?`` stay within a path component, ``**`` crosses, ``[…]`` and ``{a,b}``."""
    out: list[str] = []
    at, depth = 0, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            out.append(re.escape(pattern[at + 1]))
            at += 2
            continue
        if pattern.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
            continue
        if pattern.startswith("**", at):
            out.append(".*")
            at += 2
            continue
        closing = pattern.find("]", at + 2) if char == "[" else -1
        if char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and closing > 0:
            body = pattern[at + 1 : closing]
            negated = body[0] in "!^"
            body = (body[1:] if negated else body).replace("\\", "\\\\")
            out.append(f"[{'^' if negated else ''}{body}]")
            at = closing
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(char))
        at += 1
    try:
        return re.compile("".join(out))
    except re.error as error:
        raise ConfigErrors([f"Error using glob: `{pattern}`: {error}"]) from None


def find_files(pattern: str) -> list[Path]:
    """The files that match, sorted by path; raises ``ConfigErrors`` when there are none."""
    parts = Path(pattern).parts
    base_parts: list[str] = []
    for part in parts:
        if METACHARACTERS & set(part):
            break
        base_parts.append(part)
    base = Path(*base_parts) if base_parts else Path(".")
    found: list[Path] = []
    if base.is_file() and len(base_parts) == len(parts):
        found = [base]
    elif base.is_dir():
        regex = glob_to_regex(os.path.normpath(pattern))
        found = [path for path in _walk(base) if regex.fullmatch(os.path.normpath(path))]
    if not found:
        raise ConfigErrors([f"Error using glob: `{pattern}`: {NO_MATCH}"])
    return sorted(found, key=str)


def _walk(base: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(base, followlinks=False):
        # Kubernetes mounts keep every file twice: in `..<date>` and as links beside it.
        names[:] = sorted(name for name in names if not name.startswith(".."))
        for name in sorted(files):
            path = Path(folder) / name
            if path.is_file():
                yield path


@dataclass(frozen=True, slots=True)
class Source:
    """A value together with the file that holds it."""

    value: Any
    file: Path


@dataclass(slots=True)
class Merged:
    """All files as one table; ``origin`` tells which file a leaf came from, by dotted path."""

    table: dict[str, Any]
    origin: dict[str, Path]
    files: list[Path]

    def file_of(self, path: str) -> Path:
        """The file that holds the key, or the one that holds its table."""
        while path:
            if path in self.origin:
                return self.origin[path]
            path = path.rpartition(".")[0]
        return self.files[0] if self.files else Path(".")


def read_files(files: list[Path]) -> Merged:
    """Parse and merge; raises ``ConfigErrors`` with every unreadable file and every conflict."""
    errors: list[str] = []
    merged = Merged({}, {}, files)
    for file in files:
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"Failed to read config file `{file}`: {error}")
            continue
        except tomllib.TOMLDecodeError as error:
            errors.append(f"Failed to parse config file as valid TOML: {file}: {error}")
            continue
        _merge(merged, merged.table, table, file, "", errors)
    if errors:
        raise ConfigErrors(errors)
    return merged


def _toml_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array"}
    return names.get(type(value), "table" if isinstance(value, dict) else "datetime")


def _merge(
    merged: Merged,
    into: dict[str, Any],
    table: dict[str, Any],
    file: Path,
    prefix: str,
    errors: list[str],
) -> None:
    for key, value in table.items():
        path = f"{prefix}.{key}" if prefix else key
        if key not in into:
            if isinstance(value, dict):
                into[key] = {}
                merged.origin[path] = file
                _merge(merged, into[key], value, file, path, errors)
            else:
                into[key] = value
                merged.origin[path] = file
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(merged, into[key], value, file, path, errors)
        elif isinstance(into[key], dict):
            first = merged.origin[path]
            errors.append(
                f"`{path}`: Cannot merge `{_toml_type(value)}` from file `{file}` into a table "
                f"from file `{first}`"
            )
        else:
            first = merged.origin[path]
            errors.append(
                f"`{path}`: Found duplicate values in globbed TOML config files `{first}` and "
                f"`{file}`"
            )
