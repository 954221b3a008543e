"""Strings that mean something to a database mean nothing in a query."""

from __future__ import annotations

from typing import Any

import pytest

from queries.recorded import ODD, Recorded, id_at, row, text_input

HOSTILE = [
    "'",
    '"',
    "`",
    "\\",
    "\\'",
    "'' OR 1=1 --",
    "x'); DROP TABLE ChatInference; --",
    "/* comment */",
    "# comment",
    "\\N",
    "NULL",
    "\x00",
    "a\x00b",
    "\n\t\r\b\f\x0b\x1b",
    "\\n",
    "{p0:String}",
    "{}",
    "%s %(a)s %",
    "?",
    "[1,'2']",
    "é\u2028\U0001f600",
    "' UNION ALL SELECT 1",
    "x" * 5000,
]


@pytest.fixture(scope="module")
def rows(recorded: Recorded) -> dict[str, str]:
    """One inference for each text: its variant, its tag and its input."""
    made = {text: id_at("2026-01-25T00:00:00") for text in HOSTILE}
    recorded.insert(
        "ChatInference",
        *(
            row(
                "tensorzero::default",
                inference_id,
                variant_name=text,
                tags={"hostile": text, text: "key"},
                input=text_input(f"<{text}>"),
            )
            for text, inference_id in made.items()
        ),
    )
    return made


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_is_compared_as_it_is(
    recorded: Recorded, rows: dict[str, str], text: str
) -> None:
    def tag(key: str, value: str) -> dict[str, Any]:
        return {"type": "tag", "key": key, "value": value, "comparison_operator": "="}

    wanted = [rows[text]]
    assert recorded.ids(variant_name=text) == wanted
    assert recorded.ids(filters=tag("hostile", text)) == wanted
    assert recorded.ids(filters=tag(text, "key")) == wanted
    same_but_for_case = [rows[other] for other in HOSTILE if other.lower() == text.lower()]
    found = recorded.list(search_query_experimental=f"<{text}>")
    assert {one["inference_id"] for one in found} == set(same_but_for_case)
    (shown,) = (one for one in found if one["inference_id"] == rows[text])
    assert shown["variant_name"] == text
    assert shown["tags"] == {"hostile": text, text: "key"}
    assert shown["input"]["messages"][0]["content"] == [{"type": "text", "text": f"<{text}>"}]


def test_all_of_them_at_once(recorded: Recorded, rows: dict[str, str]) -> None:
    """Their keys are an array of a query."""
    shown = recorded.get(*rows.values(), function_name="tensorzero::default")
    assert {one["variant_name"]: one["inference_id"] for one in shown} == rows


@pytest.mark.parametrize("text", HOSTILE[:14])
def test_names_that_must_be_known_are_refused(recorded: Recorded, text: str) -> None:
    def metric(name: str) -> dict[str, Any]:
        return {"type": "boolean_metric", "metric_name": name, "value": True}

    order = [{"by": "metric", "name": text}]
    recorded.refused(404, f"Unknown function: {text}", function_name=text)
    recorded.refused(404, f"Unknown function: {text}", "get_inferences", ids=[], function_name=text)
    recorded.refused(400, f"Invalid metric name: {text}", filters=metric(text))
    recorded.refused(400, f"Invalid metric name: {text}", function_name="pages", order_by=order)
    for field in ("episode_id", "before", "after"):
        answer = recorded.post("list_inferences", {field: text})
        assert answer.status_code == 400
        assert "is not a UUID" in answer.json()["error"]
    answer = recorded.post("get_inferences", {"ids": [text]})
    assert answer.status_code == 400
    assert "is not a UUID" in answer.json()["error"]


def test_a_configured_name_is_bound_too(recorded: Recorded) -> None:
    inference_id = id_at("2026-01-26T00:00:00")
    recorded.chat(ODD, inference_id, tags={"k": "v"})
    recorded.feedback("score", inference_id, 1.0)
    order = [{"by": "metric", "name": "score"}]
    tag = {"type": "tag", "key": "k", "value": "v", "comparison_operator": "="}
    assert recorded.ids(function_name=ODD, order_by=order) == [inference_id]
    assert recorded.ids(function_name=ODD, filters=tag) == [inference_id]
    (shown,) = recorded.get(inference_id, function_name=ODD)
    assert shown["function_name"] == ODD
