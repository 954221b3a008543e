"""Loads a configuration: find, read, merge, resolve, check, compile.

Every fault is noted and the reading goes on, so that all are reported together; only what the
files themselves have wrong (a glob without match, TOML that does not parse, values given twice)
ends the reading at once.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Mapping
from pathlib import Path

from tensorzero.config.config import Config
from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.files import Merged, find_files, read_files
from tensorzero.config.paths import PathResolver
from tensorzero.config.reachability import check_namespaces
from tensorzero.config.read_evaluators import read_evaluations
from tensorzero.config.read_functions import FunctionReader
from tensorzero.config.read_gateway import read_gateway
from tensorzero.config.read_metrics import read_metrics
from tensorzero.config.read_models import read_embedding_models, read_models
from tensorzero.config.read_optimizers import read_optimizers
from tensorzero.config.read_provider_types import read_provider_types
from tensorzero.config.read_rate_limits import read_rate_limits
from tensorzero.config.read_storage import (
    read_clickhouse,
    read_ignored_sections,
    read_object_storage,
)
from tensorzero.config.read_templates import TemplateSources
from tensorzero.config.read_tools import read_tools
from tensorzero.config.reader import Faults, Table
from tensorzero.config.served import unserved_variants
from tensorzero.config.shorthand import ShorthandModels
from tensorzero.config.snapshot import make_snapshot
from tensorzero.config.surroundings import Surroundings
from tensorzero.templates import TemplateEngine, TemplateError

log = logging.getLogger(__name__)


def load(
    pattern: str, *, environ: Mapping[str, str] = os.environ, check_credentials: bool = True
) -> Config:
    """The configuration in the files that ``pattern`` (a path or glob) names.

    Raises ``ConfigErrors`` with every fault that was found.
    """
    skipped: list[str] = []
    files = find_files(pattern, skipped.append)
    merged = read_files(files)
    if not merged.table:
        log.info("the configuration is empty: no functions, models by shorthand only")
    return _build(merged, environ, check_credentials, skipped)


def load_captured(captured: bytes, *, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of another process of ours (``Config.captured``), without its files.

    So a worker that is started again serves what the gateway was started with, whatever has
    happened to the files since. Keys in files are read anew. Only for bytes of our own making.
    """
    files, extra_templates = pickle.loads(captured)
    return _build(pickle.loads(files), environ, True, [], extra_templates)


def load_default(*, environ: Mapping[str, str] = os.environ) -> Config:
    """As if from an empty file: models by shorthand only."""
    return _build(Merged({}, {}, []), environ, True, [])


def _build(
    merged: Merged,
    environ: Mapping[str, str],
    check_credentials: bool,
    skipped: list[str],
    captured_templates: Mapping[str, str] | None = None,
) -> Config:
    """With ``captured_templates`` (included ones, by name) no file is read."""
    faults = Faults(merged.locator())
    for text in skipped:
        faults.warn(text)
    paths = PathResolver(merged, faults)
    if captured_templates is None:
        paths.resolve()
    files = pickle.dumps(merged)
    root = Table(merged.table, "", faults)
    gateway, migrations_off = read_gateway(root, paths.base_path)
    global_ms = gateway.global_outbound_http_timeout_ms
    credentials = CredentialReader(environ, check_credentials, faults.warn)
    read_provider_types(root, credentials)
    models = read_models(root, credentials, global_ms)
    embedding_models = read_embedding_models(root, credentials, global_ms)
    tools = read_tools(root)
    metrics = read_metrics(root)
    surroundings = Surroundings(models, frozenset(embedding_models), global_ms, credentials)
    reader = FunctionReader(tools=tools, metrics=metrics, surroundings=surroundings)
    functions = reader.read(root)
    evaluations = read_evaluations(root, functions, reader.evaluator_reader)
    functions = {**functions, **reader.evaluator_reader.judges}
    optimizers = read_optimizers(root)
    storage = read_object_storage(root, environ)
    clickhouse = read_clickhouse(root, migrations_off)
    read_ignored_sections(root)
    rate_limiting = read_rate_limits(root)
    root.finish()
    check_namespaces(functions, models, faults)
    if captured_templates is not None:
        surroundings.sources.texts.update(
            {
                name: captured_templates[name]
                for name in captured_templates.keys() - surroundings.sources.texts.keys()
            }
        )
    engine, extra_templates = _compile(surroundings.sources, paths.base_path, faults)
    if faults.errors:
        raise ConfigErrors(faults.errors)
    extra_templates = extra_templates if captured_templates is None else captured_templates
    unserved = unserved_variants(functions, faults)
    if optimizers:
        faults.warn("optimizers: optimization jobs are not served by this version yet")
    credentials.warn = log.warning
    table = {key: value for key, value in merged.table.items() if value != {}}
    return Config(
        gateway=gateway,
        functions=functions,
        models=models,
        embedding_models=embedding_models,
        shorthands=ShorthandModels(credentials),
        tools=tools,
        metrics=metrics,
        evaluators=reader.evaluators,
        evaluations=evaluations,
        optimizers=optimizers,
        rate_limiting=rate_limiting,
        object_storage=storage,
        clickhouse=clickhouse,
        templates=engine,
        snapshot=make_snapshot(table, extra_templates),
        files=tuple(str(file) for file in merged.files),
        warnings=tuple(faults.warnings),
        unserved_variants=unserved,
        captured=pickle.dumps((files, dict(extra_templates))),
    )


def _compile(
    sources: TemplateSources, base_path: Path | None, faults: Faults
) -> tuple[TemplateEngine, Mapping[str, str]]:
    """All templates, and the ones that they include from the base path.

    A template that does not parse is noted and left out, so that the others are checked too.
    """
    texts = dict(sources.texts)
    while True:
        try:
            engine = TemplateEngine(texts, base_path=base_path)
            break
        except TemplateError as error:
            faults.error(str(error))
            if error.template not in texts:  # an included one, or several computed names
                return TemplateEngine({}), {}
            del texts[error.template]
    for text in engine.warnings:
        faults.warn(text)
    extra_templates = engine.extra_templates
    judges = dict(sources.judges)
    while judges:
        # Added after includes have been looked for: theirs work if another template has them.
        try:
            engine = engine.with_templates(judges)
            break
        except TemplateError as error:
            faults.error(str(error))
            if error.template not in judges:
                return engine, extra_templates
            del judges[error.template]
    known = [entry for entry in sources.implicit if entry[2] in texts or entry[2] in judges]
    TemplateSources(implicit=known).check_implicit(engine, faults)
    return engine, extra_templates
