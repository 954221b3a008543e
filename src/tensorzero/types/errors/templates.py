"""Templates."""

from __future__ import annotations

from tensorzero.types.errors.base import GatewayError


class TemplateRender(GatewayError):
    """A template that failed while rendering; the text names its file, the cause, the line."""

    kind = "MiniJinjaTemplateRender"

    def __init__(self, template_name: str, message: str, located: str) -> None:
        super().__init__(message, template_name=template_name, message=message)
        self.located = located

    def log_text(self) -> str:
        """Without the values of variables, which the answer shows to whoever sent them."""
        return self.located


class TemplateMissing(GatewayError):
    kind = "MiniJinjaTemplateMissing"

    def __init__(self, template_name: str) -> None:
        super().__init__(f"Template not found: {template_name}", template_name=template_name)
