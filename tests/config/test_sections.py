"""Top level, ``[gateway]`` and the small sections."""

from __future__ import annotations

import pytest

from config.folder import DUMMY, Folder, chat


@pytest.mark.parametrize("section", ["variants", "model_providers", "datasets", "ui"])
def test_an_unknown_section(folder: Folder, section: str) -> None:
    error = folder.error(f"[{section}]\nx = 1")
    assert f"unknown field `{section}`, expected one of `autopilot`, `clickhouse`" in error


def test_a_section_that_is_no_table(folder: Folder) -> None:
    for name in ("gateway", "functions", "models", "metrics", "tools", "postgres"):
        assert f"{name}: invalid type: integer `1`, expected a map" in folder.error(f"{name} = 1")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("enable_agi = true", "gateway.enable_agi: unknown field `enable_agi`, expected one of"),
        ('bind_address = "localhost:3000"', "gateway.bind_address: invalid socket address syntax"),
        ('bind_address = "0.0.0.0"', "gateway.bind_address: invalid socket address syntax"),
        ('bind_address = "::1:80"', "gateway.bind_address: invalid socket address syntax"),
        ('bind_address = "1.2.3.4:99999"', "gateway.bind_address: invalid socket address syntax"),
        ("bind_address = 3000", "gateway.bind_address: invalid type: integer `3000`"),
        ('base_path = "x"', "gateway.base_path: must start with `/`"),
        ('base_path = ""', "gateway.base_path: must start with `/`"),
        ('debug = "yes"', "gateway.debug: invalid type: string, expected a boolean"),
        ("global_outbound_http_timeout_ms = -1", "invalid value: integer `-1`"),
        ("global_outbound_http_timeout_ms = 1.0", "invalid type: floating point `1.0`"),
        ("auth = {}", "gateway.auth: missing field `enabled`"),
        ("auth = {enabled = true}", "gateway.auth.enabled: authentication is not provided by"),
        ("auth = {enabled = false, cache = {ttl = 1}}", "unknown field `ttl`"),
        ("cache.enabled = true", "gateway.cache.enabled: the inference cache is not provided"),
        ('cache.backend = "redis"', "unknown variant `redis`, expected one of `auto`"),
        (
            'relay.gateway_url = "http://edge"',
            "gateway.relay.gateway_url: relaying is not provided",
        ),
        ('relay.api_key_location = "path::x"', "gateway.relay.api_key_location: expected `env::`"),
        ('relay.api_key_location = "sk-secret"', "Invalid credential location format: `sk-s…`"),
        (
            'observability.backend = "postgres"',
            'observability.backend: "postgres" is not supported',
        ),
        ("observability.batch_writes = {}", "batch_writes: missing field `enabled`"),
        (
            "observability = {async_writes = false, batch_writes = {enabled = true, max_rows = 0}}",
            "gateway.observability.batch_writes.max_rows: must be at least 1",
        ),
        (
            "export.otlp.traces.enabled = true",
            "gateway.export.otlp.traces.enabled: the export of traces is not provided",
        ),
        ("export.otlp.metrics = {}", "gateway.export.otlp.metrics: unknown field `metrics`"),
        ("export.otlp.traces.extra_headers = {a = 1}", "extra_headers.a: invalid type: integer"),
        (
            "metrics.tensorzero_inference_latency_overhead_seconds_buckets = [0.1, 0.1]",
            "gateway.metrics.tensorzero_inference_latency_overhead_seconds_buckets: entry 1",
        ),
        (
            "metrics.tensorzero_inference_latency_overhead_seconds_buckets = [-1]",
            "gateway.metrics.tensorzero_inference_latency_overhead_seconds_buckets: entry 0",
        ),
        ("template_filesystem_access.base_path = 1", "Expected a string, found integer"),
    ],
)
def test_a_fault_in_the_gateway_section(folder: Folder, toml: str, text: str) -> None:
    assert text in folder.error(f"[gateway]\n{toml}")


def test_gateway_defaults_and_values(folder: Folder) -> None:
    gateway = folder.load("").gateway
    assert gateway.bind_address is None and gateway.base_path == ""
    assert gateway.global_outbound_http_timeout_ms == 900_000
    assert gateway.latency_overhead_buckets == (0.001, 0.01, 0.1)
    assert gateway.observability.enabled is None and gateway.observability.async_writes
    gateway = folder.load(
        '[gateway]\nbind_address = "[::1]:80"\nbase_path = "/a/b/"\nunstable_error_json = true\n'
        "metrics.tensorzero_inference_latency_overhead_seconds_buckets = []\n"
        "disable_pseudonymous_usage_analytics = true\n"
        "observability.batch_writes = {enabled = false, flush_interval_ms = 5,"
        " __force_allow_embedded_batch_writes = true}\n"
    ).gateway
    assert gateway.bind_address == "[::1]:80" and gateway.base_path == "/a/b"
    assert gateway.unstable_error_json and gateway.latency_overhead_buckets == ()


def test_batch_writes_need_async_writes_off(folder: Folder) -> None:
    error = folder.error("[gateway]\nobservability.batch_writes.enabled = true")
    assert "Batch writes and async writes cannot be enabled at the same time." in error
    assert "`gateway.observability.async_writes = false`" in error
    config = folder.load(
        "[gateway.observability]\nasync_writes = false\nbatch_writes.enabled = true"
    )
    assert config.gateway.observability.batch_writes.enabled


def test_the_deprecated_migrations_switch(folder: Folder) -> None:
    old = "[gateway.observability]\ndisable_automatic_migrations = true\n"
    new = "[clickhouse]\ndisable_automatic_migrations = true\n"
    config = folder.load(old)
    assert config.clickhouse.disable_automatic_migrations
    assert [line for line in config.warnings if line.startswith("Deprecation Warning")]
    assert folder.load(new).warnings == ()
    assert "keep the one in `clickhouse`" in folder.error(old + new)


def test_template_access_is_given_by_base_path_alone(folder: Folder) -> None:
    config = folder.load("[gateway]\ntemplate_filesystem_access.enabled = true")
    assert config.gateway.template_base_path is None
    assert any("has no effect" in line for line in config.warnings)
    folder.write({"shared/x": ""})
    config = folder.load(
        '[gateway.template_filesystem_access]\nenabled = false\nbase_path = "shared"'
    )
    assert config.gateway.template_base_path == folder.path / "shared"
    error = folder.error('[gateway.template_filesystem_access]\nbase_path = "tensorzero.toml"')
    assert "Expected a directory" in error


def test_postgres_and_autopilot_start_without_effect(folder: Folder) -> None:
    config = folder.load(
        "[postgres]\nenabled = true\nanything = 1\n[autopilot]\ntool_whitelist = ['a']"
    )
    assert any(line.startswith("postgres: this section has no effect") for line in config.warnings)
    config = folder.load("[postgres]\ninference_data_retention_days = 3")
    assert any("NOT deleted" in line for line in config.warnings)
    assert folder.load("[postgres]").warnings == ()
    assert "unknown field `x`" in folder.error("[autopilot]\nx = 1")
    assert "unknown field `url`" in folder.error("[clickhouse]\nurl = 'http://x'")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("path = 'x'", "object_storage: missing tag field `type`"),
        ("type = 'gcs'", "object_storage: unknown variant `gcs`, expected one of `s3_compatible`"),
        ("type = 'filesystem'", "object_storage: missing field `path`"),
        (
            "type = 'filesystem'\npath = '/nowhere/at/all'",
            "Failed to create filesystem object store: path does not exist: /nowhere/at/all",
        ),
        (
            "type = 's3_compatible'\nendpoint = 'dynamic::x'",
            "Invalid `[object_storage].endpoint`: `dynamic::x`. Use `env::ENVIRONMENT_VARIABLE` or",
        ),
        ("type = 's3_compatible'\nendpoint = 'none'", "Invalid `[object_storage].endpoint`"),
        ("type = 's3_compatible'\nendpoint = 'env::UNSET'", "variable `UNSET` is missing"),
        ("type = 's3_compatible'\nendpoint = 'h/x'", "object_storage.endpoint: invalid URL"),
    ],
)
def test_a_fault_in_object_storage(folder: Folder, toml: str, text: str) -> None:
    assert text in folder.error(f"[object_storage]\n{toml}")


def test_object_storage_is_resolved(folder: Folder) -> None:
    config = folder.load(f"[object_storage]\ntype='filesystem'\npath='{folder.path}'\nnew = 1")
    assert config.object_storage is not None
    assert config.object_storage.kind == {"type": "filesystem", "path": str(folder.path)}
    assert any("unknown field `new`" in line for line in config.warnings)
    config = folder.load(
        "[object_storage]\ntype='s3_compatible'\nbucket_name='b'\nendpoint='env::S3'\n"
        "allow_http = true",
        environ={"S3": "http://minio:9000"},
    )
    assert config.object_storage is not None
    assert config.object_storage.kind == {
        "type": "s3_compatible",
        "bucket_name": "b",
        "region": None,
        "endpoint": "http://minio:9000",
        "allow_http": True,
    }
    assert any(line.startswith("object_storage.allow_http") for line in config.warnings)
    error = folder.error(
        "[object_storage]\ntype='s3_compatible'", environ={"S3_ACCESS_KEY_ID": "x"}
    )
    assert "must be set together" in error


RULES = "[[rate_limiting.rules]]\n"


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (f"{RULES}tokens_per_minute = 5", "exactly one of `priority` and `always = true`"),
        (f"{RULES}priority = 1\nalways = true", "exactly one of `priority` and `always = true`"),
        (f"{RULES}priority = 1\ntokens_per_year = 5", "unknown rate limit `tokens_per_year`"),
        (f"{RULES}priority = 1\ntokens_per_minute = -5", "invalid value: integer `-5`"),
        (f"{RULES}priority = 1\ntokens_per_minute = 1.5", "invalid type: floating point `1.5`"),
        (f"{RULES}priority = 1\ncost_per_day = -1.0", "cost_per_day: must not be negative"),
        (f"{RULES}priority = 1\ncost_per_day = {{capacity = 1}}", "missing field `refill_rate`"),
        (
            f"{RULES}priority = 1\nscope = [{{tag_key = 'a', tag_value = 'tensorzero::all'}}]",
            "expected `tensorzero::each`, `tensorzero::total`",
        ),
        (
            f"{RULES}priority = 1\nscope = [{{api_key_public_id = 'short'}}]",
            "a public id of 12 characters",
        ),
        (f"{RULES}priority = 1\n{RULES}priority = 2", "rules 0 and 1 have the same scope"),
        ("[rate_limiting]\ndefault_cost = -1", "default_cost: must not be negative"),
        ("[rate_limiting]\nbackend = 'x'", "unknown variant `x`"),
    ],
)
def test_a_fault_in_a_rate_limit(folder: Folder, toml: str, text: str) -> None:
    errors = folder.errors(toml)
    assert any(text in line for line in errors), errors


def test_rate_limits_that_count_stop_the_start(folder: Folder) -> None:
    rule = "[[rate_limiting.rules]]\nalways = true\ntokens_per_minute = 5\ncost_per_day = 0.5\n"
    assert "rate_limiting.rules: rate limits are not provided" in folder.error(rule)
    config = folder.load(f"[rate_limiting]\nenabled = false\n{rule}")
    assert any("the rules are not enforced" in line for line in config.warnings)
    limits = {limit.resource: limit for limit in config.rate_limiting.rules[0].limits}
    assert str(limits["cost"].capacity) == "0.5" and limits["tokens"].refill_rate == 5


def test_several_faults_are_reported_together(folder: Folder) -> None:
    errors = folder.errors(
        "[gateway]\nbase_path = 'x'\n[metrics.comment]\ntype = 'text'\n[tools.t]\nwrong = 1\n"
        + chat(f"{DUMMY}max_tokens = 100.0\ntemplates.t.path = 'missing'", "tools = ['x']")
    )
    for text in (
        "gateway.base_path",
        "Metric name 'comment' is reserved",
        "metrics.comment.type: unknown variant `text`",
        "metrics.comment: missing field `optimize`",
        "tools.t.wrong: unknown field `wrong`",
        "tools.t: missing field `description`",
        "functions.f.variants.v.max_tokens: invalid type: floating point `100.0`",
        "tool `x` is not present in the config",
        "Failed to resolve path `missing`",
    ):
        assert any(text in line for line in errors), (text, errors)
