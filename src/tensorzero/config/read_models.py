"""Reads ``[models.*]``, ``[embedding_models.*]`` and ``[provider_types.*]``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from tensorzero.config.credentials import Credential, CredentialPair, Location, NoCredential
from tensorzero.config.locations import LocationError, parse_location, read_location
from tensorzero.config.model import (
    CostEntry,
    EmbeddingModelConfig,
    EmbeddingProviderConfig,
    ModelConfig,
    ProviderConfig,
)
from tensorzero.config.provider_types import (
    PROVIDER_TYPES,
    RESERVED_PREFIXES,
    ProviderType,
)
from tensorzero.config.read_parts import (
    check_namespace,
    read_extra_body,
    read_extra_headers,
    read_timeouts,
)
from tensorzero.config.reader import Faults, Table
from tensorzero.types.dummy import parse_dummy_model

EMBEDDING_TYPES = ("openai", "azure", "openrouter", "dummy")
_GCP_TYPES = ("gcp_vertex_anthropic", "gcp_vertex_gemini")
_AWS_SECRETS = ("access_key_id", "secret_access_key", "session_token", "api_key")


class CredentialDefaults:
    """The location of each type's credential where a provider names none; read once each."""

    def __init__(self, environ: Mapping[str, str], check: bool) -> None:
        self.environ = environ
        self.check = check
        self.locations: dict[str, Location] = {}
        self._read: dict[str, Credential | LocationError] = {}

    def get(self, type_name: str) -> Credential:
        """Raises ``LocationError``, the same one each time."""
        if type_name not in self._read:
            try:
                self._read[type_name] = self._load(type_name)
            except LocationError as error:
                self._read[type_name] = error
        found = self._read[type_name]
        if isinstance(found, LocationError):
            raise found
        return found

    def _load(self, type_name: str) -> Credential:
        kind = PROVIDER_TYPES[type_name]
        location = self.locations.get(type_name)
        if location is not None:
            return self.read(location, kind)
        if kind.variable is None:
            return NoCredential()
        variable = kind.variable
        aliases = {
            "azure": ("AZURE_OPENAI_API_KEY",),
            "google_ai_studio_gemini": ("GOOGLE_API_KEY", "GOOGLE_AI_STUDIO_GEMINI_API_KEY"),
        }
        if variable not in self.environ:
            if kind.optional_key:
                return NoCredential()
            for alias in aliases.get(type_name, ()):
                if alias in self.environ:
                    variable = alias
                    break
        prefix = "path_from_env" if type_name in _GCP_TYPES else "env"
        return self.read(parse_location(f"{prefix}::{variable}"), kind)

    def read(self, location: Location, kind: ProviderType) -> Credential:
        try:
            return read_location(location, self.environ, kind.display_name)
        except LocationError:
            if self.check:
                raise
            return NoCredential()


def check_form(location: Location, type_name: str) -> str | None:
    """Why a type does not take this form of location, or ``None``."""
    parts = (
        (location.default, location.fallback)
        if isinstance(location, CredentialPair)
        else (location,)
    )
    name = PROVIDER_TYPES[type_name].display_name
    for part in parts:
        if type_name in _GCP_TYPES:
            if part.kind in ("env", "none"):
                return (
                    "Error in acquiring GCP credentials: Invalid credential_location for "
                    f"{name} provider"
                )
        elif part.kind in ("path", "path_from_env", "sdk") or (
            type_name == "dummy" and part.kind == "env"
        ):
            return f"Invalid api_key_location for {name} provider"
    return None


def read_provider_types(root: Table, defaults: CredentialDefaults) -> None:
    for name, table in root.tables("provider_types").items():
        kind = PROVIDER_TYPES.get(name)
        if kind is None or name in ("aws_bedrock", "aws_sagemaker", "dummy"):
            root.faults.error(f"provider_types: unknown field `{name}`")
            continue
        key = kind.credential_key or ""
        inner = table.table("defaults")
        if inner is not None:
            value = inner.raw(key)
            if value is None:
                root.faults.error(f"{inner.path}: missing field `{key}`")
            else:
                location = _location(value, inner.at(key), name, root.faults)
                if location is not None:
                    defaults.locations[name] = location
            inner.finish(tolerant=True)
        for section in ("sft", "batch"):
            table.table(section)
        batch = table.value.get("batch")
        if name == "gcp_vertex_gemini" and isinstance(batch, dict) and "storage_type" not in batch:
            root.faults.error(f"{table.path}.batch: missing field `storage_type`")
        table.finish(tolerant=name not in _GCP_TYPES)


def _location(value: Any, where: str, type_name: str, faults: Faults) -> Location | None:
    try:
        location = parse_location(value)
    except LocationError as error:
        faults.error(f"{where}: {error}")
        return None
    reason = check_form(location, type_name)
    if reason is not None:
        faults.error(f"{where}: {reason}")
        return None
    return location


def _pointer(text: str | None, table: Table) -> str:
    if text is None:
        return ""
    escaped = text.replace("~0", "").replace("~1", "")
    if (text and not text.startswith("/")) or "~" in escaped:
        table.faults.error(
            f"{table.path.rpartition('[')[0]}: invalid JSON pointer `{text}`: expected `` or a "
            "text that starts with `/`, with `~0` and `~1` as the only escapes"
        )
    return text


def read_cost(owner: Table, key: str, *, split: bool) -> tuple[CostEntry, ...] | None:
    entries = owner.entries(key)
    if entries is None:
        return None
    out = []
    where = owner.at(key)
    for table in entries:
        pointer = table.string("pointer")
        plain = table.string("pointer_nonstreaming") if split else None
        streamed = table.string("pointer_streaming") if split else None
        both = plain is not None and streamed is not None
        if not split and pointer is None:
            owner.faults.error(f"{where}: missing field `pointer`")
        elif split and ((pointer is None) != both or (pointer is not None and (plain or streamed))):
            owner.faults.error(
                f"{where}: invalid pointer configuration: specify either `pointer` alone, or both "
                "`pointer_nonstreaming` and `pointer_streaming`"
            )
        million, unit = table.number("cost_per_million"), table.number("cost_per_unit")
        if (million is None) == (unit is None):
            owner.faults.error(
                f"{where}: must specify exactly one of `cost_per_million` or `cost_per_unit`"
            )
        rate = Decimal(repr(unit if unit is not None else million or 0.0))
        if million is not None and unit is None:
            rate /= 1_000_000
        required = table.boolean("required") or False
        table.finish(tolerant=True)
        out.append(
            CostEntry(
                _pointer(pointer if pointer is not None else plain, table),
                _pointer(pointer if pointer is not None else streamed, table),
                rate,
                required,
            )
        )
    return tuple(out)


def _options(table: Table, kind: ProviderType) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, shape in kind.keys.items():
        required = shape.endswith("!")
        shape = shape.rstrip("!")
        if shape == "bool":
            options[key] = table.boolean(key)
        elif shape == "tables":
            options[key] = [entry.value for entry in table.entries(key) or ()]
        elif shape == "map":
            inner = table.table(key)
            options[key] = None if inner is None else dict(inner.value)
        elif shape == "loc":
            options[key] = table.string(key)
        else:
            text = table.string(key, required=required)
            options[key] = text
            if shape == "url" and text is not None:
                _check_url(text, table, key)
    return options


def _check_url(text: str, table: Table, key: str) -> None:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        table.faults.error(f"{table.at(key)}: invalid URL: {error}")
        return
    if parts.scheme not in ("http", "https"):
        table.faults.error(
            f"{table.at(key)}: expected an absolute `http` or `https` URL (a relative URL without "
            "a base, and `env::` or `dynamic::`, are not taken here)"
        )
    elif not parts.hostname:
        table.faults.error(f"{table.at(key)}: the URL has no host")
    if parts.query:
        table.faults.warn(f"{table.at(key)}: the query string of this URL is not sent")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        table.faults.warn(
            f"{table.at(key)}: ends in `/chat/completions`, which is appended to it again"
        )


def _check_rules(type_name: str, options: Mapping[str, Any], table: Table) -> None:
    """What a type demands beyond the kinds of its keys."""
    where, faults = table.path, table.faults
    if type_name == "openai":
        api_type = options["api_type"]
        if api_type not in (None, "chat_completions", "responses"):
            faults.error(
                f"{where}.api_type: unknown variant `{api_type}`, expected `chat_completions` or "
                "`responses`"
            )
        if api_type != "responses":
            if options["include_encrypted_reasoning"]:
                faults.error(
                    f"{where}: include_encrypted_reasoning is only supported when api_type = "
                    '"responses"'
                )
            if options["provider_tools"]:
                faults.error(
                    f'{where}: `provider_tools` need api_type = "responses". These will be ignored.'
                )
        for mime, form in (options["content_type_overrides"] or {}).items():
            if form not in ("image_url", "file", "input_audio"):
                faults.error(
                    f"{where}.content_type_overrides.{mime}: unknown variant `{form}`, expected "
                    "one of `image_url`, `file`, `input_audio`"
                )
    elif type_name == "gcp_vertex_gemini":
        if (options["model_id"] is None) == (options["endpoint_id"] is None):
            faults.error(f"{where}: Exactly one of model_id or endpoint_id must be provided")
    elif type_name == "aws_sagemaker":
        if options["hosted_provider"] not in (None, "openai", "tgi"):
            faults.error(f"{where}.hosted_provider: expected `openai` or `tgi`")
    elif type_name == "dummy" and options["model_name"] is not None:
        try:
            parse_dummy_model(options["model_name"])
        except ValueError as error:
            faults.error(f"{where}.model_name: {error}")
    for key in ("beta_structured_outputs", "parse_think_blocks"):
        if options.get(key) is not None:
            faults.warn(f"Deprecation Warning: {where}.{key} has no effect")


def _type_of(table: Table) -> str | None:
    name = table.value.get("type")
    table.known.append("type")
    if not isinstance(name, str):
        table.faults.error(f"{table.path}: missing tag field `type`")
        return None
    if name not in PROVIDER_TYPES:
        known = ", ".join(f"`{one}`" for one in PROVIDER_TYPES)
        table.faults.error(f"{table.path}: unknown variant `{name}`, expected one of {known}")
        return None
    return name


def _credential(table: Table, type_name: str, defaults: CredentialDefaults) -> Credential:
    kind = PROVIDER_TYPES[type_name]
    if kind.credential_key is None:
        return NoCredential()
    value = table.raw(kind.credential_key)
    where = table.path
    try:
        if value is None:
            return defaults.get(type_name)
        location = _location(value, table.at(kind.credential_key), type_name, table.faults)
        return NoCredential() if location is None else defaults.read(location, kind)
    except LocationError as error:
        table.faults.error(f"{where}: {error}")
        return NoCredential()


def _read_provider(
    name: str, table: Table, defaults: CredentialDefaults, global_ms: int
) -> ProviderConfig | None:
    type_name = _type_of(table)
    if type_name is None:
        return None
    options = _options(table, PROVIDER_TYPES[type_name])
    _check_rules(type_name, options, table)
    secrets = {
        key: defaults.read(location, PROVIDER_TYPES[type_name])
        for key in _AWS_SECRETS
        if options.get(key) is not None
        and (location := _aws_location(options[key], table, key)) is not None
    }
    config = ProviderConfig(
        name=name,
        type=type_name,
        options=options,
        credential=_credential(table, type_name, defaults),
        credentials=secrets,
        timeouts=read_timeouts(table, global_ms),
        extra_body=read_extra_body(table),
        extra_headers=read_extra_headers(table),
        discard_unknown_chunks=table.boolean("discard_unknown_chunks") or False,
        cost=read_cost(table, "cost", split=True),
        batch_cost=read_cost(table, "batch_cost", split=False),
    )
    table.finish()
    return config


def _aws_location(value: str, table: Table, key: str) -> Location | None:
    try:
        location = parse_location(value)
    except LocationError as error:
        table.faults.error(f"{table.at(key)}: {error}")
        return None
    if isinstance(location, CredentialPair) or location.kind not in ("env", "dynamic", "sdk"):
        table.faults.error(
            f"{table.path}: Invalid `{key}` for `{table.value.get('type')}` provider: only "
            "`env::`, `dynamic::`, and `sdk` are supported."
        )
        return None
    return location


def _routing(table: Table, providers: Mapping[str, Any], *, strict: bool) -> tuple[str, ...]:
    """The routing list, checked against the providers."""
    routing = table.strings("routing", required=True)
    faults, where = table.faults, table.path
    if routing is None:
        return ()
    if not routing:
        faults.error(f"`{where}`: `routing` must not be empty")
    seen: list[str] = []
    for name in routing:
        if name.startswith("tensorzero::"):
            faults.error(
                f"`{where}.routing`: Provider name cannot start with 'tensorzero::': {name}"
            )
        if name in seen:
            text = f"`{where}.routing`: duplicate entry `{name}`"
            if strict:
                faults.error(text)
            else:
                faults.warn(text)
            continue
        seen.append(name)
        if name not in providers:
            faults.error(
                f"`{where}`: `routing` contains entry `{name}` that does not exist in `providers`"
            )
    for name in providers:
        if name not in routing:
            text = f"`{where}`: Provider `{name}` is not listed in `routing`"
            if strict:
                faults.error(text)
            else:
                faults.warn(text)
    return tuple(seen)


def read_models(
    root: Table, defaults: CredentialDefaults, global_ms: int
) -> dict[str, ModelConfig]:
    out: dict[str, ModelConfig] = {}
    for name, table in root.tables("models").items():
        if name.startswith(RESERVED_PREFIXES):
            root.faults.error(
                f"Failed to load models: Model name '{name}' contains a reserved prefix"
            )
        tables = table.tables("providers", required=True)
        routing = _routing(table, tables, strict=True) if "providers" in table.value else ()
        if "providers" not in table.value:
            table.strings("routing", required=True)
        providers = {
            key: _read_provider(key, inner, defaults, global_ms) for key, inner in tables.items()
        }
        namespace = table.string("namespace")
        check_namespace(namespace, table.path, root.faults)
        out[name] = ModelConfig(
            name,
            tuple(config for key in routing if (config := providers.get(key)) is not None),
            read_timeouts(table, global_ms),
            table.boolean("skip_relay") or False,
            namespace,
        )
        table.finish()
    return out


def read_embedding_models(
    root: Table, defaults: CredentialDefaults, global_ms: int
) -> dict[str, EmbeddingModelConfig]:
    out: dict[str, EmbeddingModelConfig] = {}
    for name, table in root.tables("embedding_models").items():
        if name.startswith(RESERVED_PREFIXES):
            root.faults.error(
                f"Failed to load embedding models: Embedding model name '{name}' contains a "
                "reserved prefix"
            )
        tables = table.tables("providers", required=True)
        routing = _routing(table, tables, strict=False)
        providers = {
            key: _read_embedding_provider(key, one, defaults) for key, one in tables.items()
        }
        timeout = table.integer("timeout_ms")
        if timeout is not None and timeout > global_ms:
            root.faults.warn(f"{table.path}: `timeout_ms` is above the gateway's outbound limit")
        table.finish()
        out[name] = EmbeddingModelConfig(
            name,
            tuple(config for key in routing if (config := providers.get(key)) is not None),
            timeout,
        )
    return out


def _read_embedding_provider(
    name: str, table: Table, defaults: CredentialDefaults
) -> EmbeddingProviderConfig | None:
    type_name = _type_of(table)
    if type_name is None:
        return None
    if type_name not in EMBEDDING_TYPES:
        table.faults.error(
            f"{table.path}: Unsupported provider config for embedding: `{type_name}`, expected one "
            f"of {', '.join(EMBEDDING_TYPES)}"
        )
        return None
    options = _options(table, PROVIDER_TYPES[type_name])
    if type_name != "dummy":
        _check_rules(type_name, options, table)
    config = EmbeddingProviderConfig(
        name,
        type_name,
        options,
        _credential(table, type_name, defaults),
        table.integer("timeout_ms"),
        read_extra_body(table),
        read_extra_headers(table),
        read_cost(table, "cost", split=False),
    )
    table.finish()
    return config
