"""Every provider type and every kind of call: it works, or refuses as the contract says."""

from __future__ import annotations

import pytest

from providers.matrix import COLUMNS, ROWS, table, written
from providers.matrix import cell as found
from tensorzero.providers.registry import PROVIDERS

USUAL = {
    **dict.fromkeys(COLUMNS, "yes"),
    "JSON `off`": "nothing",
    "JSON `on`": "object",
    "JSON `strict`": "schema",
    "JSON `tool`": "call",
    "thought": "both ways",
    "cut": "error",
    "401": "401",
    "429": "429",
    "500": "500",
}
SCHEMAS = {"JSON `on`": "schema"}
OBJECTS = {"JSON `strict`": "object"}
BY_PROMPT = {"JSON `on`": "asked", "JSON `strict`": "not sent"}
AWS_ERRORS = {"401": "500", "429": "500"}
NO_STREAMED_TOOLS = {"tools in a stream": "refused (500)"}
OWN = {
    "anthropic": {"JSON `on`": "asked"},
    "aws_bedrock": {"JSON `on`": "asked", "JSON `strict`": "asked", **AWS_ERRORS},
    "aws_sagemaker (openai)": AWS_ERRORS,
    "aws_sagemaker (tgi)": {**BY_PROMPT, **AWS_ERRORS, **NO_STREAMED_TOOLS},
    "deepseek": OBJECTS,
    "fireworks": SCHEMAS,
    "gcp_vertex_anthropic": {"JSON `on`": "not sent", "JSON `strict`": "not sent"},
    "gcp_vertex_gemini": SCHEMAS,
    "google_ai_studio_gemini": SCHEMAS,
    "groq": {"thought": "read"},
    "hyperbolic": {
        **BY_PROMPT,
        "tools": "not sent",
        "JSON `tool`": "not sent",
        "parallel": "not sent",
        "tools in a stream": "not sent",
    },
    "mistral": OBJECTS,
    "sglang": SCHEMAS,
    "tgi": {**BY_PROMPT, **NO_STREAMED_TOOLS},
    "together": SCHEMAS,
    "vllm": SCHEMAS,
}
"""Where a type differs from ``USUAL``, from the contract's sheets."""


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("row", ROWS)
def test_a_kind_of_call(row: str, column: str) -> None:
    assert found(row, column) == {**USUAL, **OWN.get(row, {})}[column]


def test_every_type_is_in_it() -> None:
    assert {row.partition(" ")[0] for row in ROWS} == PROVIDERS.keys() - {"dummy"}
    assert OWN.keys() <= ROWS.keys()


def test_the_page_shows_it() -> None:
    """``PYTHONPATH=src:tests python tests/providers/matrix.py`` writes it anew."""
    assert written() == table()
