"""The engine: every template of a running gateway, compiled at start.

MiniJinja's language over jinja2's lexer and parser. Source: the contract's configuration page,
section 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorzero.templates.analysis import used_variables
from tensorzero.templates.compiler import CompiledTemplate, compile_template
from tensorzero.templates.errors import (
    DynamicLoadError,
    RenderFault,
    TemplateMissingError,
    TemplateRenderError,
)
from tensorzero.templates.loads import computed_loads, literal_names, loads, read_below
from tensorzero.templates.runtime import describe_variables, frame_of
from tensorzero.templates.state import Library, RenderState

HTML_EXTENSIONS = (".html", ".htm", ".xml")
JSON_EXTENSIONS = (".json", ".json5", ".js", ".yaml", ".yml")


def _escaping(key: str) -> str | None:
    """The auto-escape mode that a key's extension asks for."""
    name = key
    for ending in (".j2", ".jinja2", ".jinja"):
        if name.endswith(ending):
            name = name[: -len(ending)]
            break
    if name.endswith(HTML_EXTENSIONS):
        return "html"
    return "json" if name.endswith(JSON_EXTENSIONS) else None


class Template:
    """One compiled template. Rendering it touches no disk."""

    __slots__ = (
        "_changes_frame",
        "_compiled",
        "_constant",
        "_library",
        "_root",
        "key",
        "variables",
    )

    def __init__(
        self, compiled: CompiledTemplate, variables: frozenset[str], library: Library
    ) -> None:
        self.key = compiled.key
        self.variables = variables
        """Names and dotted chains read but never assigned."""
        self._compiled = compiled
        self._constant = compiled.constant
        self._changes_frame = compiled.changes_frame
        self._root = compiled.root
        self._library = library

    def render(self, context: Mapping[str, Any] | None) -> str:
        """The text for these arguments (JSON values); raises ``TemplateRenderError``."""
        if self._constant is not None:
            return self._constant
        if type(context) is dict and not self._changes_frame:
            frame: dict[str, Any] = context
        else:
            frame = dict(context or {})
        try:
            return self._root(RenderState(self._library, self.key, self._compiled.escape), frame)
        except RenderFault as fault:
            raise self._failure(fault.text, fault, fault.trail) from None
        except RecursionError as error:
            raise self._failure("invalid operation: recursion limit exceeded", error, ()) from None
        except Exception as error:
            # No argument may raise anything else; should one, the request fails as a render.
            raise self._failure(f"{type(error).__name__}: {error}", error, ()) from None

    def _failure(self, cause: str, error: Exception, trail: tuple[str, ...]) -> TemplateRenderError:
        found = frame_of(error.__traceback__)
        compiled, line, frame = (self._compiled, 1, {}) if found is None else found
        text = f"Error rendering template {self.key}: Could not render template: {cause}"
        text += f" (in {compiled.key}:{line})"
        lines = compiled.source.split("\n")
        if line <= len(lines):
            text += f"\n{line} > {lines[line - 1].rstrip()}"
        located = text
        names = compiled.names_by_line.get(line, ())
        text = "\n".join(
            (text, describe_variables(names, frame), *(f"caused by: {inner}" for inner in trail))
        )
        return TemplateRenderError(self.key, text, located)


class TemplateEngine:
    """Compiled templates by key; immutable once made."""

    def __init__(
        self,
        templates: Mapping[str, str],
        *,
        base_path: Path | None = None,
    ) -> None:
        """Compile all; with ``base_path`` also what they include from there.

        Raises ``TemplateParseError``, and ``DynamicLoadError`` for computed names.
        """
        self.base_path = base_path
        self.extra_templates: dict[str, str] = {}
        """Texts of the included files by name, as written in the including template."""
        notes: list[str] = []
        computed: list[str] = []
        self._compiled: dict[str, CompiledTemplate] = {}
        self._templates: dict[str, Template] = {}
        self._library = Library(self._compiled, base_path is not None)
        pending = list(templates.items())[::-1]
        while pending:
            key, source = pending.pop()
            compiled, tree = compile_template(key, source, _escaping(key))
            self._compiled[key] = compiled
            self._templates[key] = Template(compiled, used_variables(tree), self._library)
            if base_path is None:
                continue
            computed += computed_loads(key, source, tree)
            for node in loads(tree):
                for name in literal_names(node.template) or ():
                    if name in templates or name in self.extra_templates:
                        continue
                    text = read_below(base_path, name)
                    if text is None:
                        notes.append(
                            f"template {key}: could not load `{name}` from "
                            "`gateway.template_filesystem_access.base_path`"
                        )
                    else:
                        self.extra_templates[name] = text
                        pending.append((name, text))
        self.warnings: tuple[str, ...] = tuple(dict.fromkeys(notes))
        if computed:
            raise DynamicLoadError(
                computed[0],
                "Cannot statically analyze all template dependencies. Found "
                f"{len(computed)} dynamic load(s): {', '.join(computed)}",
            )

    def template(self, key: str) -> Template:
        """The template of this key; raises ``TemplateMissingError``."""
        try:
            return self._templates[key]
        except KeyError:
            raise TemplateMissingError(key) from None

    def with_templates(self, templates: Mapping[str, str]) -> TemplateEngine:
        """A new engine in which ``templates`` shadow those of the same key.

        Only they are compiled, and nothing is read from disk.
        """
        added = TemplateEngine(templates)
        engine = TemplateEngine({})
        engine.base_path = self.base_path
        engine.extra_templates.update(self.extra_templates)
        engine._library.has_base_path = self._library.has_base_path
        engine._compiled.update({**self._compiled, **added._compiled})
        for template in (*self._templates.values(), *added._templates.values()):
            bound = Template(template._compiled, template.variables, engine._library)
            engine._templates[template.key] = bound
        return engine
