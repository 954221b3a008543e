"""Loads a configuration: find, read, merge, resolve, check, compile."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tensorzero.config.config import Config
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.files import Merged, find_files, read_files
from tensorzero.config.function import FunctionConfig
from tensorzero.config.model import ModelConfig
from tensorzero.config.paths import PathResolver
from tensorzero.config.provider_types import SERVED_PROVIDERS, SERVED_VARIANTS
from tensorzero.config.read_functions import (
    FunctionReader,
    read_evaluations,
    read_metrics,
    read_tools,
)
from tensorzero.config.read_gateway import read_gateway, read_object_storage, read_small_sections
from tensorzero.config.read_models import (
    CredentialDefaults,
    read_embedding_models,
    read_models,
    read_provider_types,
)
from tensorzero.config.reader import Faults, Table
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.config.snapshot import make_snapshot
from tensorzero.config.variant import ChatCompletionConfig
from tensorzero.templates import TemplateEngine, TemplateError


def load(
    pattern: str, *, environ: Mapping[str, str] = os.environ, check_credentials: bool = True
) -> Config:
    """The configuration in the files that ``pattern`` (a path or glob) names.

    Raises ``ConfigErrors`` with every fault that was found.
    """
    return _build(read_files(find_files(pattern)), environ, check_credentials)


def load_default(*, environ: Mapping[str, str] = os.environ) -> Config:
    """As if from an empty file: models by shorthand only."""
    return _build(Merged({}, {}, []), environ, True)


def _build(merged: Merged, environ: Mapping[str, str], check_credentials: bool) -> Config:
    faults = Faults()
    PathResolver(merged, faults).resolve()
    root = Table(merged.table, "", faults)
    gateway, migrations_off = read_gateway(root)
    global_ms = gateway.global_outbound_http_timeout_ms
    defaults = CredentialDefaults(environ, check_credentials)
    read_provider_types(root, defaults)
    models = read_models(root, defaults, global_ms)
    embedding_models = read_embedding_models(root, defaults, global_ms)
    tools = read_tools(root)
    metrics = read_metrics(root)
    reader = FunctionReader(
        tools=tools,
        metrics=metrics,
        models=models,
        embedding_models=frozenset(embedding_models),
        global_ms=global_ms,
    )
    functions = reader.read(root)
    evaluations = read_evaluations(root, functions, metrics)
    optimizers = {name: dict(table.value) for name, table in root.tables("optimizers").items()}
    storage = read_object_storage(root, environ)
    clickhouse = read_small_sections(root, migrations_off)
    root.finish()
    base_path = gateway.template_base_path
    if base_path is not None and not base_path.is_absolute():
        where = merged.file_of("gateway.template_filesystem_access.base_path")
        base_path = (where.parent / base_path).resolve()
        if not base_path.is_dir():
            faults.error(
                "`gateway.template_filesystem_access.base_path`: Failed to resolve path "
                f"`{gateway.template_base_path}` (base: `{where.parent}`): not a directory"
            )
    engine = TemplateEngine({})
    try:
        engine = TemplateEngine(reader.sources, base_path=base_path, debug=gateway.debug)
    except TemplateError as error:
        faults.error(str(error))
    else:
        _check_legacy_templates(functions, engine, faults)
    if faults.errors:
        raise ConfigErrors(faults.errors)
    unserved_variants, unserved_providers = _unserved(functions, models, faults)
    table = {key: value for key, value in merged.table.items() if value != {}}
    access = merged.table.get("gateway", {}).get("template_filesystem_access", {})
    access.pop("base_path", None)
    return Config(
        gateway=gateway,
        functions=functions,
        models=models,
        embedding_models=embedding_models,
        shorthands=ShorthandModels(defaults),
        tools=tools,
        metrics=metrics,
        evaluators=reader.evaluators,
        evaluations=evaluations,
        optimizers=optimizers,
        rate_limiting=dict(merged.table.get("rate_limiting", {})),
        object_storage=storage,
        clickhouse=clickhouse,
        templates=engine,
        snapshot=make_snapshot(table, engine.extra_templates),
        files=tuple(str(file) for file in merged.files),
        warnings=(*faults.warnings, *engine.warnings),
        unserved_variants=unserved_variants,
        unserved_providers=unserved_providers,
    )


def _check_legacy_templates(
    functions: Mapping[str, FunctionConfig], engine: TemplateEngine, faults: Faults
) -> None:
    """A legacy template without schema may use its one variable only."""
    for function in functions.values():
        for variant in function.variants.values():
            if not isinstance(variant, ChatCompletionConfig):
                continue
            for template in variant.templates.values():
                if not template.implicit:
                    continue
                allowed = f"{template.name}_text"
                used = sorted(engine.template(template.key).variables)
                if [name for name in used if name != allowed]:
                    faults.error(
                        f"`functions.{function.name}.variants.{variant.name}."
                        f"{template.name}_template`: template needs variables: "
                        f"[{', '.join(used)}] but only `{allowed}` is allowed when template has no "
                        "schema"
                    )


def _unserved(
    functions: Mapping[str, FunctionConfig], models: Mapping[str, ModelConfig], faults: Faults
) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    """What was read but cannot be run yet, with one warning each."""
    variants: set[tuple[str, str]] = set()
    providers: set[tuple[str, str]] = set()
    for function in functions.values():
        for variant in function.variants.values():
            if variant.type not in SERVED_VARIANTS:
                variants.add((function.name, variant.name))
                faults.warn(
                    f"functions.{function.name}.variants.{variant.name}: variants of type "
                    f"`{variant.type}` are not served by this version yet: it is never sampled"
                )
    for model in models.values():
        for provider in model.providers:
            responses = provider.options.get("api_type") == "responses"
            if provider.type not in SERVED_PROVIDERS or responses:
                providers.add((model.name, provider.name))
                faults.warn(
                    f"models.{model.name}.providers.{provider.name}: providers of type "
                    f"`{provider.type}`{' with the Responses API' if responses else ''} are not "
                    "served by this version yet: attempts on it fail"
                )
    return frozenset(variants), frozenset(providers)
