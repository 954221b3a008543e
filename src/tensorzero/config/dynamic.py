"""``internal_dynamic_variant_config``: a whole variant in a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorzero.config.config import Config
from tensorzero.config.function import FunctionConfig
from tensorzero.config.read_variants import DYNAMIC_NAME, VariantReader
from tensorzero.config.reader import Faults, Table
from tensorzero.config.surroundings import Surroundings
from tensorzero.config.variant import VariantConfig
from tensorzero.templates import TemplateEngine, TemplateError
from tensorzero.types.errors import ConfigError, DynamicTemplateLoad

NAME = DYNAMIC_NAME


def load_dynamic_variant(
    config: Config, function: FunctionConfig, table: Mapping[str, Any]
) -> tuple[VariantConfig, TemplateEngine]:
    """The variant and the templates it is rendered with (its own shadow configured ones).

    Raises ``Config`` with every fault, ``DynamicTemplateLoad`` for a template that does not parse.
    """
    faults = Faults()
    surroundings = Surroundings(
        models=config.models,
        embedding_models=frozenset(config.embedding_models),
        global_ms=config.gateway.global_outbound_http_timeout_ms,
        credentials=None,
    )
    sources = surroundings.sources
    reader = VariantReader(
        function_name=function.name,
        function_type=function.type,
        schemas=frozenset(function.schemas),
        has_tools=bool(function.tools),
        surroundings=surroundings,
    )
    variant = reader.read(NAME, Table(dict(table), "internal_dynamic_variant_config", faults))
    if faults.errors or variant is None:
        raise ConfigError("; ".join(faults.errors))
    try:
        engine = config.templates.with_templates(sources.texts)
    except TemplateError as error:
        raise DynamicTemplateLoad(str(error)) from None
    sources.check_implicit(engine, faults)
    if faults.errors:
        raise ConfigError("; ".join(faults.errors))
    return variant, engine
