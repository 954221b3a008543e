"""Region, endpoint and keys of AWS providers.

Rules and texts: the contract's page on models and providers, sections 4.4 and 5.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from tensorzero.config.credentials import (
    Credential,
    CredentialLocation,
    CredentialPair,
    DynamicCredential,
    SdkCredential,
    StaticCredential,
)
from tensorzero.config.locations import LocationError, parse_location, variable
from tensorzero.config.reader import Table
from tensorzero.config.urls import outside_aws, parse_url

IAM_KEYS = ("access_key_id", "secret_access_key", "session_token")


def read_aws(
    table: Table, type_name: str, options: dict[str, Any], environ: Mapping[str, str]
) -> dict[str, Credential]:
    """Check all, put the resolved region and endpoint into ``options``; returns the keys.

    A region or endpoint becomes a string, or a ``DynamicCredential`` that each request fills.
    """
    if options["allow_auto_detect_region"] is not None:
        table.warn(
            'Deprecation Warning: `allow_auto_detect_region` is deprecated, use `region = "sdk"`'
        )
        if options["allow_auto_detect_region"] and options["region"] is None:
            options["region"] = "sdk"
    options["region"] = _region(table, type_name, options["region"], environ)
    options["endpoint_url"] = _endpoint(table, type_name, options["endpoint_url"], environ)
    return _keys(table, type_name, options, environ)


def _value(
    table: Table, type_name: str, key: str, text: str, environ: Mapping[str, str]
) -> str | DynamicCredential | None:
    """A location's value, or the text itself where it is no location."""
    try:
        location = parse_location(text)
    except LocationError:
        return text
    assert not isinstance(location, CredentialPair)
    if location.kind == "dynamic":
        return DynamicCredential(location.name)
    path = location.name
    if location.kind in ("env", "path_from_env"):
        found = variable(environ, location.name)
        if found is None:
            table.error(
                f"Environment variable `{location.name}` not found. Your configuration for a "
                f"`{type_name}` provider requires this variable for `{key}`."
            )
            return None
        if location.kind == "env":
            return found
        path = found
    try:
        return Path(path).read_bytes().decode().strip()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a UTF-8 file"
        table.error(f"Failed to read the file for `{key}` in `{type_name}`: {reason}")
        return None


def _region(
    table: Table, type_name: str, text: str | None, environ: Mapping[str, str]
) -> str | DynamicCredential | None:
    if text is None or text == "none":
        # A `region` of a wrong type has been reported.
        if table.value.get("region") in (None, "none"):
            table.error(
                f'{type_name} provider requires a region: set `region`, or `region = "sdk"` to '
                "take it from the environment or the AWS profile"
            )
        return None
    if text != "sdk":
        return _value(table, type_name, "region", text, environ)
    region = sdk_region(environ)
    if region is None:
        table.error(
            f"Failed to determine AWS region for `{type_name}`: neither `AWS_REGION`, "
            "`AWS_DEFAULT_REGION`, the AWS profile nor the metadata of this instance names one"
        )
    return region


def sdk_region(environ: Mapping[str, str]) -> str | None:
    """The region of the environment, else of the profile in the shared AWS files, else that of
    the machine, if it is one of Amazon's."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if environ.get(name):
            return environ[name]
    home = Path(environ.get("HOME", "~")).expanduser() / ".aws"
    profile = environ.get("AWS_PROFILE") or "default"
    section = profile if profile == "default" else f"profile {profile}"
    places = (
        (environ.get("AWS_CONFIG_FILE") or str(home / "config"), section),
        (environ.get("AWS_SHARED_CREDENTIALS_FILE") or str(home / "credentials"), profile),
    )
    for file, name in places:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, ValueError):
            continue
        region = parser.get(name, "region", fallback="").strip()
        if region:
            return region
    return _instance_region(
        environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
        environ.get("AWS_EC2_METADATA_DISABLED") or "false",
    )


@lru_cache(maxsize=4)
def _instance_region(place: str | None, disabled: str) -> str | None:
    """What the instance's metadata says. Asked once for all providers: elsewhere than at Amazon's
    nobody answers for a second or two."""
    from botocore.exceptions import BotoCoreError  # only those who need it wait for its import
    from botocore.utils import InstanceMetadataRegionFetcher

    try:
        fetcher = InstanceMetadataRegionFetcher(
            timeout=1,
            num_attempts=1,
            env={"AWS_EC2_METADATA_DISABLED": disabled},
            config={"ec2_metadata_service_endpoint": place} if place else None,
        )
        region: str | None = fetcher.retrieve_region()
    except (BotoCoreError, OSError, ValueError):
        return None
    return region


def _endpoint(
    table: Table, type_name: str, text: str | None, environ: Mapping[str, str]
) -> str | DynamicCredential | None:
    if text is None or text == "none":
        return None
    if text == "sdk":
        table.error(
            f'`endpoint_url = "sdk"` is not supported for `{type_name}`. Use a URL, `env::`, '
            "`path::`, `path_from_env::` or `dynamic::`."
        )
        return None
    value = _value(table, type_name, "endpoint_url", text, environ)
    if isinstance(value, str):
        try:
            host = parse_url(value).hostname or ""
        except ValueError as error:
            table.error(f"Invalid endpoint URL `{value}` for {type_name}: {error}")
        else:
            if outside_aws(host):
                table.warn(f"`endpoint_url` is outside the domains of AWS: {host}")
    return value


def _keys(
    table: Table, type_name: str, options: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Credential]:
    keys = {key: options[key] for key in IAM_KEYS if options[key] is not None}
    api_key = options.get("api_key")
    if api_key is not None and keys:
        table.error(
            "Cannot specify both `api_key` and IAM credentials (`access_key_id`/"
            f"`secret_access_key`) for `{type_name}`. Use one or the other."
        )
        return {}
    if api_key is not None:
        location = _location(api_key)
        if location is None or location.kind not in ("env", "dynamic"):
            table.error(
                f"Unsupported credential location for `api_key` in `{type_name}`. Use `env::` or "
                "`dynamic::`."
            )
            return {}
        return _resolved(table, type_name, {"api_key": location}, environ)
    bearer = environ.get("AWS_BEARER_TOKEN_BEDROCK")
    if type_name == "aws_bedrock" and not keys and bearer:
        return {"api_key": StaticCredential(bearer)}
    locations = {}
    for key, text in keys.items():
        location = _location(text)
        if location is None or location.kind not in ("env", "dynamic", "sdk"):
            table.error(
                f"Invalid `{key}` for `{type_name}` provider: only `env::`, `dynamic::`, and `sdk` "
                "are supported."
            )
            return {}
        locations[key] = location
    if not _check_combination(table, type_name, locations):
        return {}
    if locations.get("session_token") == CredentialLocation("sdk"):
        first = locations["access_key_id"]
        if first.kind != "sdk":
            del locations["session_token"]  # means: none
    return _resolved(table, type_name, locations, environ)


def _location(text: str) -> CredentialLocation | None:
    try:
        location = parse_location(text)
    except LocationError:
        return None
    return location if isinstance(location, CredentialLocation) else None


def _check_combination(
    table: Table, type_name: str, locations: Mapping[str, CredentialLocation]
) -> bool:
    key_id, secret = locations.get("access_key_id"), locations.get("secret_access_key")
    token = locations.get("session_token")
    text = None
    if key_id is None and secret is None:
        if token is not None:
            text = (
                "`session_token` cannot be specified without `access_key_id` and "
                f"`secret_access_key` for `{type_name}`."
            )
    elif key_id is None or secret is None:
        given, other = "access_key_id", "secret_access_key"
        if key_id is None:
            given, other = other, given
        text = f"`{given}` requires `{other}` to also be specified for `{type_name}`."
    elif key_id.kind != secret.kind:
        text = (
            "`access_key_id` and `secret_access_key` must use the same source type (both `env::`, "
            f"both `dynamic::`, or both `sdk`) for `{type_name}`."
        )
    elif token is not None and token.kind not in (key_id.kind, "sdk"):
        text = (
            f"`session_token` must also use the source type of `access_key_id`, "
            f"`{key_id.kind}`, for `{type_name}`."
        )
    if text is not None:
        table.error(text)
    return text is None


def _resolved(
    table: Table,
    type_name: str,
    locations: Mapping[str, CredentialLocation],
    environ: Mapping[str, str],
) -> dict[str, Credential]:
    out: dict[str, Credential] = {}
    for key, location in locations.items():
        if location.kind == "sdk":
            out[key] = SdkCredential()
        elif location.kind == "dynamic":
            out[key] = DynamicCredential(location.name)
        else:
            value = variable(environ, location.name)
            if value is None:
                table.error(
                    f"Environment variable `{location.name}` not found for `{key}` in "
                    f"`{type_name}`."
                )
            else:
                out[key] = StaticCredential(value)
    return out
