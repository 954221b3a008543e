"""Messages and system of an input, rendered with a variant's templates.

Which block is rendered with what: the contract's variants page, 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tensorzero.config.variant import VariantTemplate
from tensorzero.templates import TemplateEngine, TemplateMissingError, TemplateRenderError
from tensorzero.types.content import Input, Message, ModelBlock, RawText, Template, Text
from tensorzero.types.errors import InvalidMessage, TemplateMissing, TemplateRender

Templates = Mapping[str, VariantTemplate]


def render_messages(given: Input, templates: Templates, engine: TemplateEngine) -> list[Message]:
    """Every message, block for block."""
    return [
        Message(
            message.role,
            [_block(block, message.role, templates, engine) for block in message.content],
        )
        for message in given.messages
    ]


def _block(block: Any, role: str, templates: Templates, engine: TemplateEngine) -> ModelBlock:
    kind = type(block)
    if kind is Text:
        template = templates.get(role)
        if template is None or not template.legacy:
            return Text(block.text)
        return Text(_render(engine, template.key, {f"{role}_text": block.text}))
    if kind is Template:
        template = templates.get(block.name)
        if template is None:
            raise InvalidMessage(f"Template `{block.name}` not found")
        if template.implicit:
            arguments = orjson.dumps(block.arguments).decode()
            raise InvalidMessage(
                f"Request message content {arguments} is not a string but `input_wrappers.{role}` "
                "is set in the variant config"
            )
        return Text(_render(engine, template.key, block.arguments))
    if kind is RawText:
        return Text(block.value)
    rendered: ModelBlock = block
    return rendered


def render_system(given: Input, templates: Templates, engine: TemplateEngine) -> str | None:
    """The system text; ``None`` for no system message."""
    system = given.system
    template = templates.get("system")
    if template is None:
        if isinstance(system, dict):
            raise InvalidMessage(
                "System message content is a template but there is no variant template"
            )
        return system
    if template.implicit:
        if isinstance(system, dict):
            raise InvalidMessage(
                "System message content is a template but `input_wrappers.system` is set in the "
                "variant config"
            )
        return _render(engine, template.key, {"system_text": system})
    return _render(engine, template.key, system if isinstance(system, dict) else None)


def _render(engine: TemplateEngine, key: str, context: Mapping[str, Any] | None) -> str:
    try:
        return engine.template(key).render(context)
    except TemplateMissingError:
        raise TemplateMissing(key) from None
    except TemplateRenderError as error:
        raise TemplateRender(key, str(error), error.located) from None
