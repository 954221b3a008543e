"""Reads the templates of a variant, in their current and their legacy spelling.

Rules and texts: the contract's configuration page, section 7.3.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from tensorzero.config.files import toml_kind
from tensorzero.config.paths import LoadedFile
from tensorzero.config.reader import Faults, Table
from tensorzero.config.variant import VariantTemplate
from tensorzero.templates import TemplateEngine

ROLES = ("system", "user", "assistant")
EMBEDDED = {"__tensorzero_remapped_path", "__data"}


@dataclass(slots=True)
class TemplateSources:
    """Texts of all templates by key. ``judges`` are added after includes have been looked for.

    ``implicit`` are the legacy templates without a schema: the dotted path of the key that names
    each, its name and its key.
    """

    texts: dict[str, str] = field(default_factory=dict)
    judges: dict[str, str] = field(default_factory=dict)
    implicit: list[tuple[str, str, str]] = field(default_factory=list)

    def check_implicit(self, engine: TemplateEngine, faults: Faults) -> None:
        """A legacy template without schema may use its one variable only."""
        for path, name, key in self.implicit:
            allowed = f"{name}_text"
            used = sorted(engine.template(key).variables)
            if [variable for variable in used if variable != allowed]:
                faults.error(
                    f"`{path}`: template needs variables: [{', '.join(used)}] but only "
                    f"`{allowed}` is allowed when template has no schema",
                    path,
                )


def read_templates(
    table: Table, function_name: str, schemas: Set[str], sources: TemplateSources
) -> dict[str, VariantTemplate]:
    """The templates by name; every schema of the function needs one."""
    where = table.path
    templates: dict[str, VariantTemplate] = {}
    for name, entry in table.tables("templates").items():
        key = _source(entry.raw("path", required=True), entry, "path", sources)
        entry.finish()
        templates[name] = VariantTemplate(name, key or "", False, name in schemas)
    wrappers = table.table("input_wrappers")
    for role in ROLES:
        legacy = _source(table.raw(f"{role}_template"), table, f"{role}_template", sources)
        wrapper = None
        if wrappers is not None:
            wrapper = _source(wrappers.raw(role), wrappers, role, sources)
        if wrapper is not None and role in schemas:
            table.error(f"Cannot provide both `input_wrappers.{role}` and `{role}_schema`")
        if wrapper is not None and legacy is not None:
            table.error(f"Cannot provide both `input_wrappers.{role}` and `{role}` template")
        key = wrapper if legacy is None else legacy
        if key is None:
            continue
        if role in templates:
            table.error(f"Cannot specify both `templates.{role}.path` and `{role}_template`")
        templates[role] = VariantTemplate(role, key, True, role in schemas)
        if key and role not in schemas:
            path = f"{where}.{role}_template" if legacy else f"{where}.input_wrappers.{role}"
            sources.implicit.append((path, role, key))
    if wrappers is not None:
        table.faults.warn(
            "Deprecation Warning: `input_wrappers` is deprecated, use `templates.<name>.path`"
        )
        wrappers.finish()
    for name in sorted(schemas):
        if name in templates:
            continue
        if name in ROLES:
            table.fault(f"`{where}.{name}_template`: template is required when schema is specified")
        else:
            table.fault(
                f"`{where}.templates.{name}` is required when "
                f"`functions.{function_name}.schemas.{name}` is specified"
            )
    return templates


def _source(value: Any, table: Table, key: str, sources: TemplateSources) -> str | None:
    """The template key of a file (``""`` for one that could not be read), ``None`` for none."""
    if value is None:
        return None
    if isinstance(value, LoadedFile):
        if value:
            sources.texts[str(value)] = value.content
        return str(value)
    if isinstance(value, dict) and set(value) == EMBEDDED:
        name, content = value["__tensorzero_remapped_path"], value["__data"]
        if isinstance(name, str) and name and isinstance(content, str):
            sources.texts[name] = content
            return name
    table.fault(f"`{table.at(key)}`: Expected a string, found {toml_kind(value)}", key)
    return ""
