"""Prompt templates: MiniJinja's language on jinja2, compiled at start, closed to Python."""

from tensorzero.templates.engine import Template, TemplateEngine
from tensorzero.templates.errors import (
    DynamicLoadError,
    TemplateError,
    TemplateMissingError,
    TemplateParseError,
    TemplateRenderError,
)

__all__ = [
    "DynamicLoadError",
    "Template",
    "TemplateEngine",
    "TemplateError",
    "TemplateMissingError",
    "TemplateParseError",
    "TemplateRenderError",
]
