"""The engine against the ``minijinja`` package: the same text, or the same error, template by template."""

from __future__ import annotations

from typing import Any

import minijinja
import pytest
from hypothesis import HealthCheck, assume, given, seed, settings

from templates.corpus import ARGUMENTS, LIBRARY, snippets
from templates.generated import arguments, expressions, templates
from templates.reference import Outcome, by_engine, by_minijinja, with_literals

_SETTINGS = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
_OUR_LIMITS = ("has too many elements", "is longer than")
_SYNTAX = "syntax error: "


def _comparable(outcome: Outcome) -> Outcome:
    """Parsers word their complaints differently; that they complain at the same line is what counts."""
    kind, text = outcome
    if kind == "error" and text.startswith(_SYNTAX):
        return kind, _SYNTAX + text.rsplit(" (in ", 1)[-1]
    return outcome


@pytest.mark.parametrize("snippet", snippets())
def test_snippet(snippet: str) -> None:
    theirs = by_minijinja(with_literals(snippet, ARGUMENTS), LIBRARY)
    ours = by_engine(snippet, LIBRARY, ARGUMENTS)
    assert _comparable(ours) == _comparable(theirs)


@pytest.mark.parametrize(
    "ending", [".html", ".xml.j2", ".htm.jinja", ".json", ".yml.jinja2", ".js"]
)
@pytest.mark.parametrize(
    "snippet",
    [
        "{{ html }}{{ map }}{{ number }}{{ whole }}{{ nothing }}{{ umlaut }}",
        "{{ html|safe }}{{ html|e }}{{ html|upper }}{{ html|tojson }}{{ text ~ html|safe }}",
        "{% set x %}<b>{{ html }}</b>{% endset %}{{ x }}{{ x|e }}",
        "{% macro m(v) %}<i>{{ v }}</i>{% endmacro %}{{ m(html) }}",
        "{% filter upper %}<i>{{ html }}{% endfilter %}",
        "{% block b %}<{{ html }}>{% endblock %}{{ self.b() }}",
        "{% include 'greeting' %}{% autoescape false %}{{ html }}{% endautoescape %}{{ html }}",
        "{{ words|join('<') }}{{ [html] }}{{ none }}{{ true }}",
    ],
)
def test_escaping(snippet: str, ending: str) -> None:
    def escapes(name: str) -> str | None:
        bare = name.rsplit(".j", 1)[0] if name.rsplit(".", 1)[-1].startswith("jinja") else name
        bare = bare.removesuffix(".j2")
        if bare.endswith((".html", ".htm", ".xml")):
            return "html"
        return "json" if bare.endswith((".json", ".js", ".yml")) else None

    name = "main" + ending
    source = with_literals(snippet, ARGUMENTS)
    environment = minijinja.Environment(
        loader={**LIBRARY, name: source}.get,
        undefined_behavior="strict",
        pycompat=False,
        auto_escape_callback=escapes,
    )
    theirs = environment.render_template(name)
    assert by_engine(snippet, LIBRARY, ARGUMENTS, ending) == ("text", theirs)


def _agree(source: str, given_arguments: dict[str, Any]) -> None:
    ours = by_engine(source, {}, given_arguments)
    try:
        theirs = by_minijinja(with_literals(source, given_arguments), {})
    except BaseException as error:
        # The package panics where it divides by zero: not an outcome to agree with.
        assume("PanicException" not in type(error).__name__)
        raise
    assume(not any(limit in ours[1] for limit in _OUR_LIMITS))
    assert ours == theirs, (source, given_arguments)


@seed(20260101)
@settings(_SETTINGS, max_examples=400)
@given(expressions, arguments)
def test_generated_expression(expression: str, given_arguments: dict[str, Any]) -> None:
    _agree("{{ " + expression + " }}", given_arguments)


@seed(20260102)
@settings(_SETTINGS, max_examples=150)
@given(templates, arguments)
def test_generated_template(source: str, given_arguments: dict[str, Any]) -> None:
    _agree(source, given_arguments)
