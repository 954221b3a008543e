"""Trees of conditions, made up, against the contract's logic written down as it stands there.

Section 3.1: a metric without feedback is neither true nor false; ``and`` and ``or`` take that for
false, and so does ``not``; at the top it matches nothing.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries.recorded import Recorded, id_at
from tensorzero.gateway.queries.filters import INFERENCE_NODES, parse_filter
from tensorzero.types.errors import GatewayError

SCORES = {"a": 0.25, "b": 0.5, "c": 1.0}
GOOD = {"a": True, "b": False, "d": True}
TAGS = {"a": "x", "c": "y", "e": "x"}
NAMES = "abcdef"
COMPARE: dict[str, Any] = {
    "<": float.__lt__,
    "<=": float.__le__,
    "=": float.__eq__,
    ">": float.__gt__,
    ">=": float.__ge__,
    "!=": float.__ne__,
}

leaves = st.one_of(
    st.builds(
        lambda value, operator: {
            "type": "float_metric",
            "metric_name": "score",
            "value": value,
            "comparison_operator": operator,
        },
        st.sampled_from([0.25, 0.4, 0.5, 1.0]),
        st.sampled_from(sorted(COMPARE)),
    ),
    st.builds(
        lambda value: {"type": "boolean_metric", "metric_name": "good", "value": value},
        st.booleans(),
    ),
    st.builds(
        lambda value, operator: {
            "type": "tag",
            "key": "logic",
            "value": value,
            "comparison_operator": operator,
        },
        st.sampled_from("xy"),
        st.sampled_from(["=", "!="]),
    ),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda child: {"type": "not", "child": child}, inner),
        st.builds(
            lambda kind, children: {"type": kind, "children": children},
            st.sampled_from(["and", "or"]),
            st.lists(inner, max_size=3),
        ),
    ),
    max_leaves=8,
)


def truth(node: dict[str, Any], name: str) -> bool | None:
    """``None`` where there is no feedback."""
    kind = node["type"]
    if kind == "and":
        return all(truth(child, name) is True for child in node["children"])
    if kind == "or":
        return any(truth(child, name) is True for child in node["children"])
    if kind == "not":
        return truth(node["child"], name) is False
    if kind == "boolean_metric":
        return GOOD[name] == node["value"] if name in GOOD else None
    if kind == "float_metric":
        if name not in SCORES:
            return None
        return bool(COMPARE[node["comparison_operator"]](SCORES[name], node["value"]))
    if name not in TAGS:
        return False
    return (TAGS[name] == node["value"]) is (node["comparison_operator"] == "=")


@pytest.fixture(scope="module")
def names(recorded: Recorded) -> dict[str, str]:
    """By id."""
    ids = {name: id_at("2026-01-27T00:00:00") for name in NAMES}
    for name, inference_id in ids.items():
        tags = {"logic": TAGS[name]} if name in TAGS else {}
        recorded.chat("metrics", inference_id, variant_name="logic", tags=tags)
    for name, score in SCORES.items():
        recorded.feedback("score", ids[name], score)
    for name, good in GOOD.items():
        recorded.feedback("good", ids[name], good)
    return {inference_id: name for name, inference_id in ids.items()}


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tree=trees)
def test_a_tree_of_conditions(recorded: Recorded, names: dict[str, str], tree: Any) -> None:
    found = recorded.ids(function_name="metrics", variant_name="logic", filters=tree)
    wanted = [name for name in NAMES if truth(tree, name) is True]
    assert sorted(names[one] for one in found) == wanted


keys = st.sampled_from(
    ["type", "children", "child", "metric_name", "value", "comparison_operator", "key", "time"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=10,
)
nodes = st.fixed_dictionaries(
    {"type": st.sampled_from(INFERENCE_NODES)},
    optional=dict.fromkeys(("children", "child", "value", "key", "time"), json_values)
    | {
        "comparison_operator": st.sampled_from(sorted(COMPARE)),
        "metric_name": st.text(max_size=3),
        "has_demonstration": st.booleans(),
    },
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(value=st.one_of(json_values, nodes, trees))
def test_whatever_is_no_filter_is_refused_with_a_reason(value: Any) -> None:
    try:
        parse_filter(value, "filters", INFERENCE_NODES)
    except GatewayError as error:
        assert error.status == 400
        assert "filters" in str(error)
