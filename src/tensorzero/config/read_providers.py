"""Reads ``[models.<m>.providers.<p>]`` and ``[embedding_models.<m>.providers.<p>]``.

Rules and texts: the contract's page on models and providers, sections 2 to 5 and 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tensorzero.config.credential_defaults import CredentialReader
from tensorzero.config.credentials import (
    Credential,
    DynamicCredential,
    NoCredential,
    SdkCredential,
)
from tensorzero.config.locations import LocationError, parse_location, variable
from tensorzero.config.model import EmbeddingProviderConfig, ProviderConfig
from tensorzero.config.provider_types import (
    AWS_TYPES,
    EMBEDDING_TYPES,
    PROVIDER_TYPES,
    ProviderType,
)
from tensorzero.config.read_aws import read_aws
from tensorzero.config.read_cost import read_cost
from tensorzero.config.read_parts import (
    json_value,
    read_extra_body,
    read_extra_headers,
    read_timeouts,
)
from tensorzero.config.reader import Table
from tensorzero.config.urls import check_api_base, parse_url
from tensorzero.types.dummy import parse_dummy_embedding, parse_dummy_model

NO_EFFECT = ("beta_structured_outputs", "parse_think_blocks")
CONTENT_FORMS = ("image_url", "file", "input_audio")


def read_provider(
    name: str, table: Table, credentials: CredentialReader, global_ms: int
) -> ProviderConfig | None:
    """One provider of a chat model; ``None`` when its type is missing or unknown."""
    type_name = table.tag(tuple(PROVIDER_TYPES))
    if type_name is None:
        return None
    options = _options(table, PROVIDER_TYPES[type_name])
    _check_rules(type_name, options, table)
    if type_name == "dummy" and options["model_name"] is not None:
        try:
            parse_dummy_model(options["model_name"])
        except ValueError as error:
            table.error(str(error), "model_name")
    keys: dict[str, Credential] = {}
    secrets: list[Credential] = []
    if type_name in AWS_TYPES:
        keys = read_aws(table, type_name, options, credentials.environ)
        secrets = list(keys.values()) or [SdkCredential()]
    if type_name == "azure":
        options["endpoint"] = _azure_endpoint(table, options["endpoint"], credentials.environ)
    credential = _credential(table, type_name, credentials)
    _warn_dynamic_endpoint(table, options, (credential, *secrets))
    config = ProviderConfig(
        name=name,
        type=type_name,
        options=options,
        credential=credential,
        credentials=keys,
        timeouts=read_timeouts(table, global_ms),
        extra_body=read_extra_body(table),
        extra_headers=read_extra_headers(table),
        discard_unknown_chunks=table.boolean("discard_unknown_chunks") or False,
        cost=read_cost(table, "cost", split=True),
        batch_cost=read_cost(table, "batch_cost", split=False),
    )
    table.finish()
    return config


def read_embedding_provider(
    name: str, table: Table, credentials: CredentialReader, global_ms: int
) -> EmbeddingProviderConfig | None:
    """One provider of an embedding model; ``None`` when its type cannot embed."""
    type_name = table.tag(tuple(PROVIDER_TYPES))
    if type_name is None:
        return None
    if type_name not in EMBEDDING_TYPES:
        table.error(
            f"Unsupported provider config for embedding: `{type_name}`, expected one of "
            f"{', '.join(f'`{one}`' for one in EMBEDDING_TYPES)}"
        )
        return None
    options = _options(table, PROVIDER_TYPES[type_name])
    _check_rules(type_name, options, table)
    if type_name == "dummy" and options["model_name"] is not None:
        try:
            parse_dummy_embedding(options["model_name"])
        except ValueError as error:
            table.error(str(error), "model_name")
    if type_name == "azure":
        options["endpoint"] = _azure_endpoint(table, options["endpoint"], credentials.environ)
    timeout_ms = table.integer("timeout_ms")
    if timeout_ms is not None and timeout_ms > global_ms:
        table.warn("`timeout_ms` is above `gateway.global_outbound_http_timeout_ms`")
    config = EmbeddingProviderConfig(
        name,
        type_name,
        options,
        _credential(table, type_name, credentials),
        timeout_ms,
        read_extra_body(table),
        read_extra_headers(table),
        read_cost(table, "cost", split=False),
    )
    table.finish()
    return config


def _options(table: Table, kind: ProviderType) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, shape in kind.keys.items():
        required = shape.endswith("!")
        shape = shape.rstrip("!")
        if shape == "bool":
            options[key] = table.boolean(key)
        elif shape == "tables":
            options[key] = [
                json_value(entry.value, table, key) for entry in table.entries(key) or ()
            ]
        elif shape == "map":
            options[key] = table.texts(key)
        else:
            text = table.string(key, required=required)
            options[key] = text
            if shape == "url" and text is not None:
                check_api_base(text, table, key)
    return options


def _choice(table: Table, key: str, value: Any, allowed: Sequence[str]) -> None:
    if value is not None and value not in allowed:
        table.choice(key, allowed)


def _check_rules(type_name: str, options: Mapping[str, Any], table: Table) -> None:
    """What a type demands beyond the kinds of its keys."""
    if type_name == "openai":
        api_type = options["api_type"]
        _choice(table, "api_type", api_type, ("chat_completions", "responses"))
        if api_type != "responses":
            if options["include_encrypted_reasoning"]:
                table.error(
                    'include_encrypted_reasoning is only supported when api_type = "responses"'
                )
            if options["provider_tools"]:
                table.error(
                    '`provider_tools` are only supported when api_type = "responses". These will '
                    "be ignored."
                )
        forms = table.table("content_type_overrides")
        for mime in options["content_type_overrides"]:
            if forms is not None:
                forms.choice(mime, CONTENT_FORMS)
    elif type_name == "gcp_vertex_gemini":
        if ("model_id" in table.value) == ("endpoint_id" in table.value):
            table.error("Exactly one of model_id or endpoint_id must be provided")
    elif type_name == "aws_sagemaker":
        _choice(table, "hosted_provider", options["hosted_provider"], ("openai", "tgi"))
    for key in NO_EFFECT:
        if options.get(key) is not None:
            table.faults.warn(f"Deprecation Warning: {table.at(key)} has no effect, remove it")


def _azure_endpoint(
    table: Table, text: str | None, environ: Mapping[str, str]
) -> str | DynamicCredential | None:
    """A literal URL, ``env::NAME`` or ``dynamic::KEY``."""
    if text is None:
        return None
    source = ""
    if text.startswith("dynamic::"):
        return DynamicCredential(text.removeprefix("dynamic::"))
    if text.startswith("env::"):
        name = text.removeprefix("env::")
        found = variable(environ, name)
        if found is None:
            table.error(f"Environment variable '{name}' not found for Azure endpoint")
            return None
        text, source = found, f"from env var '{name}'"
    try:
        parse_url(text)
    except ValueError as error:
        table.error(f"Invalid endpoint URL {source or repr(text)}: {error}")
    return text


def _warn_dynamic_endpoint(
    table: Table, options: Mapping[str, Any], credentials: Sequence[Credential]
) -> None:
    """Callers who choose the endpoint choose who gets the credential."""
    for key in ("endpoint", "endpoint_url"):
        if isinstance(options.get(key), DynamicCredential):
            text = "the endpoint comes from the request: callers choose where the call goes to"
            if not all(isinstance(one, DynamicCredential | NoCredential) for one in credentials):
                text += ", and it carries a credential of yours; use `dynamic::` for that too"
            table.warn(text, key)


def _credential(table: Table, type_name: str, credentials: CredentialReader) -> Credential:
    key = PROVIDER_TYPES[type_name].credential_key
    if key is None:
        return NoCredential()
    value = table.raw(key)
    try:
        if value is None:
            return credentials.default(type_name)
        try:
            location = parse_location(value)
        except LocationError as error:
            table.error(str(error), key)
            return NoCredential()
        return credentials.read(location, type_name)
    except LocationError as error:
        table.error(str(error))
        return NoCredential()
