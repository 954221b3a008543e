"""What a variant is run with."""

from __future__ import annotations

from msgspec import Struct, field

from tensorzero.config.function import FunctionConfig
from tensorzero.models.table import ModelTable
from tensorzero.templates import TemplateEngine
from tensorzero.types.content import Input
from tensorzero.types.credentials import Credentials
from tensorzero.types.extra import ExtraBody, ExtraHeader
from tensorzero.types.files import FileResolver
from tensorzero.types.model import EarlyAnswer
from tensorzero.types.params import NO_PARAMS, ChatCompletionParams
from tensorzero.types.schema import JSONSchema
from tensorzero.types.tools import ToolCallConfig
from tzcore.clock import OutboundClock


class VariantContext(Struct):
    """One inference as its variants see it: shared by all that are tried."""

    function: FunctionConfig
    input: Input
    inference_id: str
    episode_id: str
    models: ModelTable
    templates: TemplateEngine
    params: ChatCompletionParams = NO_PARAMS
    tool_config: ToolCallConfig | None = None
    output_schema: JSONSchema | None = None
    extra_body: tuple[ExtraBody, ...] = ()
    extra_headers: tuple[ExtraHeader, ...] = ()
    credentials: Credentials = field(default_factory=Credentials)
    files: FileResolver | None = None
    fetch_files: bool = False
    stream: bool = False
    clock: OutboundClock = field(default_factory=OutboundClock)
    early: EarlyAnswer | None = None
