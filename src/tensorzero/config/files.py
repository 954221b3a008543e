"""Finds the config files that a glob names, reads and merges them.

Rules and texts: the contract's configuration page, sections 1.1 and 1.2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli  # TOML 1.1; the standard library reads 1.0

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
            inner = re.sub(r"([\[\]\\&|~^])", r"\\\1", body[1:] if negated else body)
            out.append(f"(?!/)[{'^' if negated else ''}{inner}]")
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


def find_files(pattern: str, warn: Callable[[str], None]) -> list[Path]:
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
        found = [path for path in _walk(base, warn) if regex.fullmatch(os.path.normpath(path))]
    if not found:
        raise ConfigErrors([f"Error using glob: `{pattern}`: {NO_MATCH}"])
    return sorted(found, key=str)


def _walk(base: Path, warn: Callable[[str], None]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        warn(f"`{error.filename}` cannot be read ({error.strerror}): skipped")

    for folder, names, files in os.walk(base, onerror=unreadable, followlinks=False):
        # Kubernetes mounts keep every file twice: in `..<date>` and as links beside it.
        names[:] = sorted(name for name in names if not name.startswith(".."))
        for name in sorted(files):
            path = Path(folder) / name
            if path.is_file():
                yield path


KeyPath = tuple[str, ...]


def dotted(path: KeyPath) -> str:
    """A path as error texts show it."""
    return ".".join(path)


@dataclass(slots=True)
class Merged:
    """All files as one table; ``origin`` tells which file a key came from, by its path."""

    table: dict[str, Any]
    origin: dict[KeyPath, Path]
    files: list[Path]

    def file_of(self, path: KeyPath) -> Path:
        """The file that holds the key, or the one that holds its table."""
        while path:
            if path in self.origin:
                return self.origin[path]
            path = path[:-1]
        return self.files[0] if self.files else Path(".")

    def locator(self) -> Callable[[str], str | None]:
        """Finds the file of a dotted path, or that of the nearest table around it."""
        files = {dotted(path): str(file) for path, file in self.origin.items()}

        def locate(path: str) -> str | None:
            while path:
                if path in files:
                    return files[path]
                path = path.rpartition(".")[0]
            return None

        return locate


def read_files(files: list[Path]) -> Merged:
    """Parse and merge; raises ``ConfigErrors`` with every unreadable file and every conflict."""
    errors: list[str] = []
    merged = Merged({}, {}, files)
    for file in files:
        try:
            # Decoded by hand: text mode would turn CRLF inside strings into LF.
            table = tomli.loads(file.read_bytes().decode("utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"Failed to read config file `{file}`: {error}")
        except (ValueError, RecursionError) as error:
            errors.append(f"Failed to parse config file as valid TOML: {file}: {_reason(error)}")
        else:
            _merge(merged, merged.table, table, file, (), errors)
    if errors:
        raise ConfigErrors(errors)
    return merged


def _reason(error: Exception) -> str:
    """The parser's reason; a key that occurs twice is called that, by its name."""
    if not isinstance(error, tomli.TOMLDecodeError):
        return str(error)
    twice = re.match(r"Cannot declare \((.*?),?\) twice", error.msg)
    at = f"at line {error.lineno}, column {error.colno}"
    if twice is not None:
        name = ".".join(part.strip().strip("'\"") for part in twice[1].split(","))
        return f"duplicate key `{name}`: the table is declared twice ({at})"
    if error.msg == "Cannot overwrite a value":
        line = error.doc[: error.pos].rpartition("\n")[2]
        key, equals, _ = line.partition("=")
        shown = f" `{key.strip()}`" if equals else ""
        return f"duplicate key{shown}: it has a value already ({at})"
    return str(error)


def toml_kind(value: Any) -> str:
    """The name of a value's type in TOML's terms."""
    names = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array"}
    return names.get(type(value), "table" if isinstance(value, dict) else "datetime")


def _merge(
    merged: Merged,
    into: dict[str, Any],
    table: dict[str, Any],
    file: Path,
    prefix: KeyPath,
    errors: list[str],
) -> None:
    for key, value in table.items():
        path = (*prefix, key)
        if key not in into:
            merged.origin[path] = file
            into[key] = {} if isinstance(value, dict) else value
            if isinstance(value, dict):
                _merge(merged, into[key], value, file, path, errors)
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(merged, into[key], value, file, path, errors)
        elif isinstance(into[key], dict):
            errors.append(
                f"`{dotted(path)}`: Cannot merge `{toml_kind(value)}` from file `{file}` into a "
                f"table from file `{merged.origin[path]}`"
            )
        else:
            errors.append(
                f"`{dotted(path)}`: Found duplicate values in globbed TOML config files "
                f"`{merged.origin[path]}` and `{file}`"
            )
