"""Prompt templates: MiniJinja's language, compiled to Python code at start, closed to Python's objects."""

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
