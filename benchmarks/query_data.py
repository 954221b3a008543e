"""A million inferences for the query benchmark, made by the database itself.

Half of them are of one function; ids are spread over 30 days, in the order of insertion, and the
newest come in small batches, as a gateway sends them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import httpx

from tensorzero.storage.database.url import DatabaseURL

INFERENCES = 1_000_000
BATCH = 50_000
LATEST = 50_000
"""So many inferences come in batches of ``LATEST_BATCH``."""
LATEST_BATCH = 5_000
FUNCTIONS = {"assistant": "chat", "router": "chat", "extract": "json", "classify": "json"}
"""Their shares of the inferences: 50, 20, 20, 10 %."""
QUALITY, SOLVED = "quality", "solved"

CONFIG = """
[metrics.quality]
type = "float"
level = "inference"
optimize = "max"
[metrics.solved]
type = "boolean"
level = "inference"
optimize = "max"
[metrics.rating]
type = "float"
level = "episode"
optimize = "max"
""" + "".join(
    f"""
[functions.{name}]
type = "{kind}"
[functions.{name}.variants.plain]
type = "chat_completion"
model = "dummy::{"json" if kind == "json" else "text"}"
{'json_mode = "on"' if kind == "json" else ""}
"""
    for name, kind in FUNCTIONS.items()
)

_TOPIC = (
    "the gateway records what each answer was worth and people ask later which prompt of two did "
    "better on letters from customers in Lyon who wanted their invoice again before the end of "
    "March though nobody had told them that it had been sent to another address last week"
)
_PROSE = " ".join(random.Random(1).choices(_TOPIC.split(), k=5000))
_ID = (
    "uint_to_uuid(bitOr(bitShiftLeft(toUInt128(1700000000000 + {n} * 2592), 80), bitOr("
    "bitShiftLeft(toUInt128(28672 + {n} % 4096), 64), toUInt128(bitOr(9223372036854775808, "
    "bitAnd(cityHash64({n}, '{seed}'), 4611686018427387903))))))"
)


def inference_id(n: str = "number") -> str:
    """SQL of the id of the ``n``-th inference."""
    return _ID.format(n=n, seed="inference")


def _episode_id() -> str:
    """Two inferences each."""
    return _ID.format(n="(intDiv(number, 2) * 2)", seed="episode")


def _feedback_id(seed: str) -> str:
    return _ID.format(n="number", seed=seed)


def _text(length: int, seed: str) -> str:
    """SQL of a text of so many characters."""
    start = f"1 + cityHash64(number, '{seed}', {{part}}) % {len(_PROSE) - length}"
    parts = (f"substring(prose, {start.format(part=part)}, {length // 4})" for part in range(4))
    return f"concat({', '.join(parts)})"


_SHARED = f"""
{inference_id()} AS id,
concat('v', toString(cityHash64(number, 'variant') % 4)) AS variant_name,
{_episode_id()} AS episode_id,
concat('{{"messages":[{{"role":"user","content":[{{"type":"text","text":"', {_text(480, "in")},
    '"}}]}}]}}') AS input,
'{{"chat_completion":{{"temperature":0.5,"max_tokens":100}}}}' AS inference_params,
toUInt32(200 + cityHash64(number, 'ms') % 1500) AS processing_time_ms,
map('user', toString(cityHash64(number, 'user') % 1000)) AS tags,
'[]' AS extra_body,
toUInt256(cityHash64('snapshot')) AS snapshot_hash
"""
_SHARED_NAMES = (
    "id, variant_name, episode_id, input, inference_params, processing_time_ms, tags, extra_body, "
    "snapshot_hash"
)


def _statements(first: int, count: int) -> Iterator[str]:
    """What records inferences ``first`` to ``first + count``, and the feedback on them."""
    numbers = f"numbers({first}, {count})"
    yield (
        f"INSERT INTO ChatInference ({_SHARED_NAMES}, function_name, output) WITH '{_PROSE}' AS prose SELECT {_SHARED}, "
        "if(number % 10 < 5, 'assistant', 'router') AS function_name, "
        f"""concat('[{{"type":"text","text":"', {_text(240, "out")}, '"}}]') AS output """
        f"FROM {numbers} WHERE number % 10 < 7"
    )
    yield (
        f"INSERT INTO JsonInference ({_SHARED_NAMES}, function_name, output, output_schema, "
        f"auxiliary_content) WITH '{_PROSE}' AS prose SELECT {_SHARED}, "
        "if(number % 10 < 9, 'extract', 'classify') AS function_name, "
        f"""concat('{{"raw":null,"parsed":{{"text":"', {_text(240, "out")}, '"}}}}') AS output, """
        """'{"type":"object"}' AS output_schema, '[]' AS auxiliary_content """
        f"FROM {numbers} WHERE number % 10 >= 7"
    )
    yield (
        "INSERT INTO ModelInference (id, inference_id, raw_request, raw_response, model_name, "
        "model_provider_name, input_tokens, output_tokens, response_time_ms, input_messages, output) "
        f"WITH '{_PROSE}' AS prose SELECT {_feedback_id('model')} AS id, "
        f"{inference_id()} AS inference_id, "
        f"{_text(240, 'in')} AS raw_request, {_text(120, 'out')} AS raw_response, 'm' AS model_name, "
        "'p' AS model_provider_name, 100 AS input_tokens, 50 AS output_tokens, "
        "300 AS response_time_ms, raw_request AS input_messages, raw_response AS output "
        f"FROM {numbers}"
    )
    for table, metric, seed, value in (
        (
            "FloatMetricFeedback",
            QUALITY,
            "quality",
            "toFloat32(cityHash64(number, 'q') % 1000 / 1000)",
        ),
        ("BooleanMetricFeedback", SOLVED, "solved", "cityHash64(number, 's') % 2 = 0"),
    ):
        yield (
            f"INSERT INTO {table} (id, target_id, metric_name, value) "
            f"SELECT {_feedback_id(seed)} AS id, {inference_id()} AS target_id, "
            f"'{metric}' AS metric_name, {value} AS value "
            f"FROM {numbers} WHERE cityHash64(number, '{seed}') % 100 < 95"
        )
    yield (
        "INSERT INTO DemonstrationFeedback (id, inference_id, value) "
        f"SELECT {_feedback_id('demonstration')} AS id, {inference_id()} AS inference_id, "
        """'[{"type":"text","text":"better"}]' AS value """
        f"FROM {numbers} WHERE number % 10 < 1"
    )


def fill(database: DatabaseURL, inferences: int = INFERENCES) -> None:
    """Record it all, through the database's own interface."""
    auth = (database.username or "", database.password or "")
    with httpx.Client(base_url=database.origin, auth=auth, timeout=300) as client:
        first = 0
        while first < inferences:
            left = inferences - first
            count = LATEST_BATCH if left <= LATEST else min(BATCH, left - LATEST)
            for statement in _statements(first, count):
                answer = client.post("/", content=statement, params={"async_insert": "0"})
                if answer.status_code != 200:
                    raise SystemExit(f"benchmarks: {answer.text[:2000]}")
            first += count
