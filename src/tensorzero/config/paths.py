"""Path keys: files that a config names, read at start; their template keys.

Rules: the contract's configuration page, section 1.3.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tensorzero.config.files import Merged
from tensorzero.config.reader import Faults

TEMPLATE_KEYS = ("system_template", "user_template", "assistant_template", "system_instructions")
SCHEMA_KEYS = ("system_schema", "user_schema", "assistant_schema", "output_schema")


class LoadedFile(str):
    """A file in place of its path: the text is the template key, ``content`` what it holds."""

    content: str

    def __new__(cls, key: str, content: str) -> LoadedFile:
        loaded = super().__new__(cls, key)
        loaded.content = content
        return loaded


class _Pending:
    def __init__(self, table: dict[str, Any], key: str, path: Path, content: str) -> None:
        self.table = table
        self.key = key
        self.path = path
        self.content = content


class PathResolver:
    """Replaces every path key of a merged config by the file it names."""

    def __init__(self, merged: Merged, faults: Faults) -> None:
        self.merged = merged
        self.faults = faults
        self.pending: list[_Pending] = []

    def resolve(self) -> None:
        """Read all files; faults name the dotted key and the path."""
        root = self.merged.table
        for name, function in _tables(root.get("functions")):
            where = f"functions.{name}"
            for key in SCHEMA_KEYS:
                self._file(function, key, f"{where}.{key}")
            self._named(function, "schemas", where)
            for variant_name, variant in _tables(function.get("variants")):
                self._variant(variant, f"{where}.variants.{variant_name}")
            self._evaluators(function, where)
        for name, evaluation in _tables(root.get("evaluations")):
            self._evaluators(evaluation, f"evaluations.{name}")
        for name, tool in _tables(root.get("tools")):
            self._file(tool, "parameters", f"tools.{name}.parameters")
        self._assign_keys()

    def _evaluators(self, owner: dict[str, Any], where: str) -> None:
        for name, evaluator in _tables(owner.get("evaluators")):
            path = f"{where}.evaluators.{name}"
            self._file(evaluator, "typescript_file", f"{path}.typescript_file")
            for variant_name, variant in _tables(evaluator.get("variants")):
                self._variant(variant, f"{path}.variants.{variant_name}")

    def _variant(self, variant: dict[str, Any], where: str) -> None:
        for key in TEMPLATE_KEYS:
            self._file(variant, key, f"{where}.{key}")
        self._named(variant, "templates", where)
        wrappers = variant.get("input_wrappers")
        if isinstance(wrappers, dict):
            for key in ("system", "user", "assistant"):
                self._file(wrappers, key, f"{where}.input_wrappers.{key}")
        for part in ("evaluator", "fuser"):
            inner = variant.get(part)
            if isinstance(inner, dict):
                self._variant(inner, f"{where}.{part}")

    def _named(self, owner: dict[str, Any], key: str, where: str) -> None:
        named = owner.get(key)
        if not isinstance(named, dict):
            return
        for name, entry in named.items():
            path = f"{where}.{key}.{name}"
            if isinstance(entry, dict):
                self._file(entry, "path", f"{path}.path")
            else:
                self.faults.error(f"`{path}`: Expected a table, found {_toml_kind(entry)}")

    def _file(self, table: dict[str, Any], key: str, dotted: str) -> None:
        if key not in table:
            return
        value = table[key]
        if not isinstance(value, str):
            self.faults.error(f"`{dotted}`: Expected a string, found {_toml_kind(value)}")
            return
        base = self.merged.file_of(dotted).parent.resolve()
        path = base / value
        try:
            real = path.resolve(strict=True)
        except OSError as error:
            self.faults.error(
                f"`{dotted}`: Failed to resolve path `{value}` (base: `{base}`): {error.strerror}"
            )
            return
        if real.is_dir():
            self.faults.error(
                f"`{dotted}`: Expected a file path, but '{real}' is a directory. Please provide a "
                "path to a file."
            )
            return
        try:
            content = real.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.faults.error(f"`{dotted}`: Failed to read file at `{real}`: {error}")
            return
        self.pending.append(_Pending(table, key, real, content))

    def _assign_keys(self) -> None:
        """Template keys: paths without the longest common parent of all of them."""
        paths = {str(entry.path) for entry in self.pending}
        if not paths:
            return
        common = os.path.commonpath([os.path.dirname(path) for path in paths])
        for entry in self.pending:
            key = str(entry.path)
            if common != "/":
                key = os.path.relpath(key, common)
            entry.table[entry.key] = LoadedFile(key, entry.content)


def _tables(value: Any) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict):
        return []
    return [(name, entry) for name, entry in value.items() if isinstance(entry, dict)]


def _toml_kind(value: Any) -> str:
    names: dict[type, str] = {bool: "boolean", int: "integer", float: "float", list: "array"}
    return names.get(type(value), "table" if isinstance(value, dict) else "string")
