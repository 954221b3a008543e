"""Path keys: files that a config names, read at start; their template keys.

Rules: the contract's configuration page, section 1.3.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tensorzero.config.files import KeyPath, Merged, dotted, toml_kind
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

    def __reduce__(self) -> tuple[type[LoadedFile], tuple[str, str]]:
        return LoadedFile, (str(self), self.content)


class _Pending:
    def __init__(self, table: dict[str, Any], key: str, path: Path, content: str) -> None:
        self.table = table
        self.key = key
        self.path = path
        self.content = content


class PathResolver:
    """Replaces every path key of a merged config by the file it names.

    ``base_path`` is the directory of ``gateway.template_filesystem_access``, which is taken out
    of the table: where a configuration lies is no part of it.
    """

    def __init__(self, merged: Merged, faults: Faults) -> None:
        self.merged = merged
        self.faults = faults
        self.pending: list[_Pending] = []
        self.base_path: Path | None = None

    def resolve(self) -> None:
        """Read all files; faults name the dotted key and the path."""
        root = self.merged.table
        for name, function in _tables(root.get("functions")):
            where: KeyPath = ("functions", name)
            for key in SCHEMA_KEYS:
                self._file(function, key, where)
            self._named(function, "schemas", where)
            for variant_name, variant in _tables(function.get("variants")):
                self._variant(variant, (*where, "variants", variant_name))
            self._evaluators(function, where)
        for name, evaluation in _tables(root.get("evaluations")):
            self._evaluators(evaluation, ("evaluations", name))
        for name, tool in _tables(root.get("tools")):
            self._file(tool, "parameters", ("tools", name))
        self._template_access()
        self._assign_keys()

    def _template_access(self) -> None:
        access: Any = self.merged.table.get("gateway")
        access = access.get("template_filesystem_access") if isinstance(access, dict) else None
        if isinstance(access, dict) and "base_path" in access:
            path = ("gateway", "template_filesystem_access", "base_path")
            self.base_path = self._real_path(access["base_path"], path)
            if self.base_path is not None and not self.base_path.is_dir():
                self._fault(path, f"Expected a directory, but '{self.base_path}' is a file.")
            del access["base_path"]

    def _evaluators(self, owner: dict[str, Any], where: KeyPath) -> None:
        for name, evaluator in _tables(owner.get("evaluators")):
            path = (*where, "evaluators", name)
            self._file(evaluator, "typescript_file", path)
            for variant_name, variant in _tables(evaluator.get("variants")):
                self._variant(variant, (*path, "variants", variant_name))

    def _variant(self, variant: dict[str, Any], where: KeyPath) -> None:
        for key in TEMPLATE_KEYS:
            self._file(variant, key, where)
        self._named(variant, "templates", where)
        wrappers = variant.get("input_wrappers")
        if isinstance(wrappers, dict):
            for key in ("system", "user", "assistant"):
                self._file(wrappers, key, (*where, "input_wrappers"))
        for part in ("evaluator", "fuser"):
            inner = variant.get(part)
            if isinstance(inner, dict):
                self._variant(inner, (*where, part))

    def _named(self, owner: dict[str, Any], key: str, where: KeyPath) -> None:
        named = owner.get(key)
        if not isinstance(named, dict):
            return
        for name, entry in list(named.items()):
            path = (*where, key, name)
            if isinstance(entry, dict):
                self._file(entry, "path", path)
            else:
                self._fault(path, f"Expected a table, found {toml_kind(entry)}")
                named[name] = {"path": LoadedFile("", "")}

    def _fault(self, path: KeyPath, cause: str) -> None:
        self.faults.error(f"`{dotted(path)}`: {cause}", dotted(path))

    def _real_path(self, value: Any, path: KeyPath) -> Path | None:
        """The canonical form of a path that must exist."""
        if not isinstance(value, str):
            self._fault(path, f"Expected a string, found {toml_kind(value)}")
            return None
        base = self.merged.file_of(path).parent.resolve()
        try:
            return (base / value).resolve(strict=True)
        except (OSError, ValueError, RuntimeError) as error:  # NUL characters, circles of links
            reason = getattr(error, "strerror", None) or str(error)
            self._fault(path, f"Failed to resolve path `{value}` (base: `{base}`): {reason}")
            return None

    def _file(self, table: dict[str, Any], key: str, where: KeyPath) -> None:
        if key not in table:
            return
        path = (*where, key)
        real = self._real_path(table[key], path)
        # What could not be read has been reported: it must not be reported again as missing.
        table[key] = LoadedFile("", "") if real is None else LoadedFile(str(real), "")
        if real is None:
            return
        if real.is_dir():
            self._fault(
                path,
                f"Expected a file path, but '{real}' is a directory. Please provide a path to a "
                "file.",
            )
            return
        if not real.is_file():
            self._fault(path, f"Failed to read file at `{real}`: it is not a regular file")
            return
        try:
            content = real.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            self._fault(path, f"Failed to read file at `{real}`: {error}")
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
            # Names on disk need not be UTF-8; keys are hashed and stored.
            key = os.fsencode(key).decode("utf-8", "backslashreplace")
            entry.table[entry.key] = LoadedFile(key, entry.content)


def _tables(value: Any) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict):
        return []
    return [(name, entry) for name, entry in value.items() if isinstance(entry, dict)]
