"""The engine: every template of a running gateway, compiled at start.

jinja2 in a sandbox, set to behave as MiniJinja where a prompt can notice: strict undefined,
``none``/``true``/``false``, maps in key order, maps and lists printed as JSON-like text,
attributes of maps only. Source: the contract's configuration page, section 14.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from markupsafe import Markup

from tensorzero.templates.analysis import used_variables
from tensorzero.templates.errors import (
    DynamicLoadError,
    TemplateMissingError,
    TemplateParseError,
    TemplateRenderError,
)
from tensorzero.templates.json_text import json_for_html
from tensorzero.templates.values import to_text

HTML_EXTENSIONS = (".html", ".htm", ".xml")
JSON_EXTENSIONS = (".json", ".json5", ".js", ".yaml", ".yml")
MISSING_FILTERS = (
    "center",
    "filesizeformat",
    "forceescape",
    "random",
    "striptags",
    "truncate",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
)
MAX_RANGE = 100_000


def _escaping(key: str) -> str:
    name = key
    for ending in (".j2", ".jinja2", ".jinja"):
        if name.endswith(ending):
            name = name[: -len(ending)]
            break
    if name.endswith(HTML_EXTENSIONS):
        return "html"
    return "json" if name.endswith(JSON_EXTENSIONS) else "none"


def _print(value: Any) -> Any:
    if type(value) is str or isinstance(value, (Markup, jinja2.Undefined, Macro)):
        return value
    if value is None or isinstance(value, (bool, int, float, list, tuple, dict)):
        return to_text(list(value) if isinstance(value, tuple) else value)
    return value


def _print_json(value: Any) -> Any:
    if isinstance(value, (Markup, jinja2.Undefined, Macro)):
        return value
    return Markup(json_for_html(value))


def _sorted(value: Any) -> Any:
    """Maps in key order, all the way down."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(entry) for entry in value]
    return value


def _tojson(value: Any, indent: Any = None) -> Markup:
    if isinstance(value, jinja2.Undefined):
        return Markup("null")
    spaces = 2 if indent is True else indent or None
    return Markup(json_for_html(_sorted(value), spaces))


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise jinja2.TemplateRuntimeError(f"range has more than {MAX_RANGE} items")
    return numbers


class _Environment(ImmutableSandboxedEnvironment):
    """Attributes are keys of maps; nothing of Python's objects is in reach."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            return self.undefined(obj=obj, name=attribute)
        if isinstance(obj, (LoopContext, Namespace)) and not attribute.startswith("_"):
            return getattr(obj, attribute, self.undefined(obj=obj, name=attribute))
        if type(obj).__name__ == "TemplateModule" and not attribute.startswith("_"):
            return getattr(obj, attribute, self.undefined(obj=obj, name=attribute))
        if isinstance(obj, jinja2.Undefined):
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, (dict, list, tuple, str, range)):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                return self.undefined(obj=obj, name=str(argument))
        return self.getattr(obj, argument) if isinstance(argument, str) else self.undefined()


def _environment(loader: jinja2.BaseLoader, finalize: Any, autoescape: bool) -> _Environment:
    environment = _Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        autoescape=autoescape,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
        cache_size=-1,
        auto_reload=False,
    )
    for name in MISSING_FILTERS:
        environment.filters.pop(name, None)
    environment.filters["tojson"] = _tojson
    environment.filters["chain"] = lambda *lists: [item for one in lists for item in one]
    environment.globals = {
        "range": _range,
        "dict": dict,
        "namespace": Namespace,
    }
    return environment


def _without_newline(source: str) -> str:
    if source.endswith("\r\n"):
        return source[:-2]
    return source.removesuffix("\n")


class Template:
    """One compiled template. Rendering it touches no disk."""

    __slots__ = ("_compiled", "_constant", "_debug", "_environment", "_source", "key", "variables")

    def __init__(
        self, key: str, source: str, compiled: jinja2.Template, tree: nodes.Template, debug: bool
    ) -> None:
        self.key = key
        self.variables = used_variables(tree)
        self._source = source
        self._compiled = compiled
        self._environment = compiled.environment
        self._debug = debug
        plain = all(
            isinstance(node, nodes.Output)
            and all(isinstance(part, nodes.TemplateData) for part in node.nodes)
            for node in tree.body
        )
        self._constant: str | None = _without_newline(source) if plain and "\\" not in key else None
        if self._constant is not None and ("{" in source):
            self._constant = None

    def render(self, context: Mapping[str, Any] | None) -> str:
        """The text for these arguments (JSON values); raises ``TemplateRenderError``."""
        if self._constant is not None:
            return self._constant
        values = {
            name: _sorted(value) if type(value) in (dict, list) else value
            for name, value in (context or {}).items()
        }
        try:
            return self._environment.concat(
                self._compiled.root_render_func(self._compiled.new_context(values))
            )
        except RecursionError:
            raise self._failure("recursion limit exceeded", self.key, 0) from None
        except Exception as error:  # whatever a template's author did wrong ends here
            raise self._failure(_cause(error), *_place(error, self.key)) from None

    def _failure(self, cause: str, place: str, line: int) -> TemplateRenderError:
        text = f"Error rendering template {self.key}: Could not render template: {cause}"
        text += f" (in {place}:{line})"
        lines = self._source.splitlines() if place == self.key else []
        if 0 < line <= len(lines):
            text += f"\n{lines[line - 1]}"
        return TemplateRenderError(self.key, text)


def _cause(error: Exception) -> str:
    if isinstance(error, jinja2.UndefinedError):
        return f"undefined value: {error}"
    if isinstance(error, jinja2.TemplateNotFound):
        return f"Could not load template '{error.name}' - the file was missing."
    return str(error) or type(error).__name__


def _place(error: Exception, key: str) -> tuple[str, int]:
    """The template in which the error arose (an included one, maybe), and the line there."""
    place, line = key, 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        template = frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            place, line = template.name or key, template.get_corresponding_lineno(number)
    return place, line


class TemplateEngine:
    """Compiled templates by key; immutable once made."""

    def __init__(
        self,
        templates: Mapping[str, str],
        *,
        base_path: Path | None = None,
        debug: bool = False,
    ) -> None:
        """Compile all; with ``base_path`` also what they include from there.

        Raises ``TemplateParseError``, and ``DynamicLoadError`` for computed names.
        """
        self.debug = debug
        self.base_path = base_path
        self.extra_templates: dict[str, str] = {}
        notes: list[str] = []
        self._sources = dict(templates)
        if base_path is not None:
            self._load_includes(base_path, notes)
        self.warnings: tuple[str, ...] = tuple(notes)
        texts = {**self.extra_templates, **self._sources}
        loader = jinja2.DictLoader({key: _without_newline(text) for key, text in texts.items()})
        self._environments = {
            "none": _environment(loader, _print, False),
            "html": _environment(loader, _print, True),
            "json": _environment(loader, _print_json, False),
        }
        self._templates = {key: self._compile(key, text) for key, text in texts.items()}

    def template(self, key: str) -> Template:
        """The template of this key; raises ``TemplateMissingError``."""
        try:
            return self._templates[key]
        except KeyError:
            raise TemplateMissingError(key) from None

    def with_templates(self, templates: Mapping[str, str]) -> TemplateEngine:
        """A new engine in which ``templates`` shadow those of the same key."""
        return TemplateEngine(
            {**self.extra_templates, **self._sources, **templates}, debug=self.debug
        )

    def _compile(self, key: str, source: str) -> Template:
        environment = self._environments[_escaping(key)]
        try:
            tree = environment.parse(_without_newline(source), key)
            compiled = environment.get_template(key)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateParseError(
                key, f"Failed to add template `{key}`: {error.message} (in {key}:{error.lineno})"
            ) from None
        return Template(key, source, compiled, tree, self.debug)

    def _load_includes(self, base_path: Path, notes: list[str]) -> None:
        parser = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
        pending = list(self._sources.items())
        dynamic: list[str] = []
        while pending:
            key, source = pending.pop()
            try:
                tree = parser.parse(source, key)
            except jinja2.TemplateSyntaxError:
                continue  # reported with its key when it is compiled
            for node in _loads(tree):
                names = _literal_names(node.template)
                if names is None:
                    dynamic.append(f"{key}:{node.lineno}:1")
                    continue
                for name in names:
                    if name in self._sources or name in self.extra_templates:
                        continue
                    text = _read_below(base_path, name)
                    if text is None:
                        notes.append(f"template {key}: `{name}` is not below the base path")
                    else:
                        self.extra_templates[name] = text
                        pending.append((name, text))
        if dynamic:
            raise DynamicLoadError(
                dynamic[0],
                "Cannot statically analyze all template dependencies. Found "
                f"{len(dynamic)} dynamic load(s): {', '.join(dynamic)}",
            )


def _loads(
    tree: nodes.Template,
) -> list[nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends]:
    """Every statement that loads another template."""
    return [
        *tree.find_all(nodes.Include),
        *tree.find_all(nodes.Import),
        *tree.find_all(nodes.FromImport),
        *tree.find_all(nodes.Extends),
    ]


def _literal_names(node: nodes.Expr) -> list[str] | None:
    """The names an include may load, ``None`` when one is computed."""
    if isinstance(node, nodes.Const):
        if isinstance(node.value, str):
            return [node.value]
        return list(node.value) if isinstance(node.value, (list, tuple)) else None
    if isinstance(node, (nodes.List, nodes.Tuple)):
        names: list[str] = []
        for item in node.items:
            inner = _literal_names(item)
            if inner is None:
                return None
            names += inner
        return names
    if isinstance(node, nodes.CondExpr):
        first = _literal_names(node.expr1)
        second = _literal_names(node.expr2) if node.expr2 is not None else []
        return None if first is None or second is None else first + second
    return None


def _read_below(base_path: Path, name: str) -> str | None:
    segments = name.split("/")
    if "\\" in name or any(part.startswith(".") for part in segments) or name.startswith("/"):
        return None
    try:
        return (base_path / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
