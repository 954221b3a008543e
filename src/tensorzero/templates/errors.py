"""Errors of the template engine.

The public ones are what callers see; :class:`RenderFault` is raised by the runtime while a
template runs and never leaves this package.
"""

from __future__ import annotations


class TemplateError(Exception):
    """Base of all template errors.

    ``template`` is the key of the template (``configuration.md`` 1.3), ``message`` the whole text.
    """

    def __init__(self, template: str, message: str) -> None:
        super().__init__(message)
        self.template = template
        self.message = message


class TemplateParseError(TemplateError):
    """A template's source is not valid. The text names the key and the line."""


class DynamicLoadError(TemplateParseError):
    """A template computes the name of another one, and a base path is set (14.4 rule 3)."""


class TemplateRenderError(TemplateError):
    """A template failed while it was rendered. The text names the key and the line (14.5).

    ``located`` is the text without the values of variables, which may be a prompt: for logs.
    """

    def __init__(self, template: str, message: str, located: str) -> None:
        super().__init__(template, message)
        self.located = located


class TemplateMissingError(TemplateError):
    """No template has this key."""

    def __init__(self, template: str) -> None:
        super().__init__(template, f"Template not found: {template}")


class RenderFault(Exception):
    """Why a running template can't go on.

    ``trail`` holds the located texts of the faults inside included templates, outermost first.
    """

    __slots__ = ("text", "trail")

    def __init__(self, text: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.trail = trail


def undefined_value() -> RenderFault:
    """The fault of every forbidden use of an undefined value."""
    return RenderFault("undefined value")


def invalid(text: str) -> RenderFault:
    """An "invalid operation" fault."""
    return RenderFault(f"invalid operation: {text}")
