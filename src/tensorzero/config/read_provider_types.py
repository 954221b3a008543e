"""Reads ``[provider_types.*]``: default credentials, and settings of batches and tuning.

Rules: the contract's page on models and providers, section 6.
"""

from __future__ import annotations

from tensorzero.config.credential_defaults import CredentialReader, wrong_form
from tensorzero.config.credentials import CredentialLocation
from tensorzero.config.locations import LocationError, parse_location
from tensorzero.config.provider_types import AWS_TYPES, GCP_TYPES, PROVIDER_TYPES
from tensorzero.config.reader import Table

CONFIGURABLE = tuple(
    sorted(name for name in PROVIDER_TYPES if name not in AWS_TYPES and name != "dummy")
)
TUNING_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fireworks": (("account_id",), ()),
    "together": ((), ("wandb_api_key", "wandb_base_url", "wandb_project_name", "hf_api_token")),
    "gcp_vertex_gemini": (
        ("project_id", "region", "bucket_name"),
        ("bucket_path_prefix", "service_account", "kms_key_name"),
    ),
}
"""Required and optional keys of ``sft``, all strings."""
SECRETS = ("wandb_api_key", "hf_api_token")


def read_provider_types(root: Table, credentials: CredentialReader) -> None:
    """Check the section; default locations go to ``credentials``, which reads them when asked."""
    outer = root.table("provider_types")
    if outer is None:
        return
    for name in CONFIGURABLE:
        table = outer.table(name)
        if table is None:
            continue
        _defaults(table, name, credentials)
        if name in TUNING_KEYS:
            _tuning(table, name)
        if name == "gcp_vertex_gemini":
            _batch(table)
        table.finish(tolerant=name not in GCP_TYPES)
    outer.finish()


def _defaults(table: Table, name: str, credentials: CredentialReader) -> None:
    inner = table.table("defaults")
    if inner is None:
        return
    key = PROVIDER_TYPES[name].credential_key or ""
    value = inner.raw(key, required=True)
    if value is not None:
        try:
            location = parse_location(value)
        except LocationError as error:
            inner.error(str(error), key)
        else:
            parts = [location] if isinstance(location, CredentialLocation) else location.halves
            reasons = [reason for part in parts if (reason := wrong_form(part, name))]
            for reason in reasons:
                inner.error(reason, key)
            if not reasons:
                credentials.defaults[name] = location
    inner.finish(tolerant=True)


def _tuning(table: Table, name: str) -> None:
    inner = table.table("sft")
    if inner is None:
        return
    required, optional = TUNING_KEYS[name]
    for key in required:
        inner.string(key, required=True)
    for key in optional:
        if inner.string(key) is not None and key in SECRETS:
            inner.warn("this secret becomes part of the stored configuration", key)
    inner.finish()


def _batch(table: Table) -> None:
    inner = table.table("batch")
    if inner is None:
        return
    kind = inner.choice("storage_type", ("cloud_storage", "none"), required=True)
    for key in ("input_uri_prefix", "output_uri_prefix"):
        inner.string(key, required=kind == "cloud_storage")
    inner.finish()
