"""Filters of inference queries: what each node matches, alone and under others."""

from __future__ import annotations

from typing import Any

import pytest

from queries.recorded import Recorded, id_at

COMPARISONS = ("<", "<=", "=", ">", ">=", "!=")


def score(value: float, comparison: str = "=", name: str = "score") -> dict[str, Any]:
    return {
        "type": "float_metric",
        "metric_name": name,
        "value": value,
        "comparison_operator": comparison,
    }


def good(value: bool, name: str = "good") -> dict[str, Any]:
    return {"type": "boolean_metric", "metric_name": name, "value": value}


def tag(key: str, value: str, comparison: str = "=") -> dict[str, Any]:
    return {"type": "tag", "key": key, "value": value, "comparison_operator": comparison}


def at(time: str, comparison: str) -> dict[str, Any]:
    return {"type": "time", "time": time, "comparison_operator": comparison}


def both(*children: Any) -> dict[str, Any]:
    return {"type": "and", "children": children}


def either(*children: Any) -> dict[str, Any]:
    return {"type": "or", "children": children}


def negated(child: Any) -> dict[str, Any]:
    return {"type": "not", "child": child}


class Found:
    """The inferences of one function and variant that a filter finds, by their names here."""

    def __init__(self, recorded: Recorded, function: str, variant: str, names: dict[str, str]):
        self.recorded = recorded
        self.wanted = {"function_name": function, "variant_name": variant}
        self.names = {inference_id: name for name, inference_id in names.items()}

    def __call__(self, given: Any, **extra: Any) -> str:
        """Names in order of age, one letter each."""
        found = self.recorded.ids(**{**self.wanted, "filters": given, "limit": 100, **extra})
        # From the tables themselves too, which are read where there is a condition on tags.
        tagless = negated(tag("nowhere", ""))
        wide = {**self.wanted, "filters": both(given, tagless), "limit": 100, **extra}
        assert self.recorded.ids(**wide) == found
        del wide["function_name"]
        assert self.recorded.ids(**wide) == found
        return "".join(sorted(self.names[one] for one in found))


@pytest.fixture(scope="module")
def scored(recorded: Recorded) -> Found:
    """Scores: a 0.1, b 0.9, c 2 (after 0.1), n none. Good: a yes, b no (after yes), n none."""
    names = {name: id_at("2026-01-10T00:00:00") for name in "abcn"}
    recorded.chat("metrics", *names.values(), variant_name="metrics_filters")
    # Given within one second, in this order; the rows arrive the other way round.
    old, new = (id_at("2026-02-01T00:00:00") for _ in range(2))
    recorded.feedback("score", names["c"], 2.0, new)
    recorded.feedback("score", names["c"], 0.1, old)
    recorded.feedback("score", names["a"], 0.1)
    recorded.feedback("score", names["b"], 0.9)
    recorded.feedback("good", names["a"], True)
    old, new = (id_at("2026-02-01T00:00:00") for _ in range(2))
    recorded.feedback("good", names["b"], False, new)
    recorded.feedback("good", names["b"], True, old)
    recorded.demonstrate(names["b"], '[{"type":"text","text":"better"}]')
    return Found(recorded, "metrics", "metrics_filters", names)


def test_float_metrics(scored: Found) -> None:
    found = {comparison: scored(score(0.9, comparison)) for comparison in COMPARISONS}
    assert found == {"<": "a", "<=": "ab", "=": "b", ">": "c", ">=": "bc", "!=": "ac"}
    assert scored(score(2, "=")) == "c"
    assert scored(score(1e300, "<")) == "abc"
    assert scored(score(-1e300, "<")) == ""


def test_boolean_metrics_count_the_latest(scored: Found) -> None:
    assert scored(good(True)) == "a"
    assert scored(good(False)) == "b"


def test_a_metric_is_read_from_the_table_of_the_node(scored: Found) -> None:
    assert scored(score(1, "<=", "good")) == ""
    assert scored(negated(score(1, "<=", "good"))) == ""
    assert scored(good(True, "score")) == ""


def test_inferences_without_feedback(scored: Found) -> None:
    """Section 3.1's table: n has none."""
    low = score(1, "<")
    assert scored(low) == "ab"
    assert scored(negated(low)) == "c"
    assert scored(negated(negated(low))) == "abn"
    assert scored(both(low)) == scored(either(low)) == "ab"
    assert scored(negated(both(low))) == scored(negated(either(low))) == "cn"
    assert scored(negated(negated(both(low)))) == "ab"
    assert scored(negated(negated(negated(low)))) == "c"
    assert scored(negated(either(good(True), good(False)))) == "cn"
    assert scored(either(negated(low), good(True))) == "ac"


def test_logic(scored: Found) -> None:
    assert scored(both()) == "abcn"
    assert scored(either()) == ""
    assert scored(negated(both())) == ""
    assert scored(negated(either())) == "abcn"
    assert scored(both(score(0.5, "<"), good(True))) == "a"
    assert scored(both(score(0.5, "<"), good(False))) == ""
    assert scored(either(score(1, ">"), good(False))) == "bc"
    assert scored(both(either(score(1, ">"), good(False)), negated(good(True)))) == "b"


def test_demonstrations(scored: Found) -> None:
    def has(wanted: bool) -> dict[str, Any]:
        return {"type": "demonstration_feedback", "has_demonstration": wanted}

    assert scored(has(True)) == "b"
    assert scored(has(False)) == "acn"
    assert scored(negated(has(False))) == "b"
    assert scored(both(has(True), score(0.9, "="))) == "b"


def test_an_episodes_feedback_is_that_of_its_inferences(recorded: Recorded) -> None:
    names = {name: id_at("2026-01-11T00:00:00") for name in "abcd"}
    episodes = {name: id_at("2026-01-11T00:00:00") for name in "xyz"}
    for name, episode in zip("abcd", "xxyz", strict=True):
        recorded.chat(
            "episodes", names[name], variant_name="episodes_filters", episode_id=episodes[episode]
        )
    recorded.feedback("mood", episodes["x"], 0.5)
    recorded.feedback("mood", episodes["y"], 0.25)
    recorded.feedback("happy", episodes["y"], True)
    # Of an episode's id, an inference's metric knows nothing.
    recorded.feedback("score", episodes["z"], 1.0)
    found = Found(recorded, "episodes", "episodes_filters", names)
    assert found(score(0.3, ">", "mood")) == "ab"
    assert found(negated(score(0.3, ">", "mood"))) == "c"
    assert found(good(True, "happy")) == "c"
    assert found(score(1.0, "=")) == ""
    assert found(score(0.3, ">", "mood"), episode_id=episodes["x"]) == "ab"
    assert found(score(0.3, ">", "mood"), episode_id=episodes["y"]) == ""


def test_tags(recorded: Recorded) -> None:
    names = {name: id_at("2026-01-12T00:00:00") for name in "abcd"}
    tags = ({"env": "test"}, {"env": "live", "": ""}, {"other": "test"}, {})
    for name, given in zip("abcd", tags, strict=True):
        recorded.chat("tags", names[name], variant_name="tags_filters", tags=given)
    found = Found(recorded, "tags", "tags_filters", names)
    assert found(tag("env", "test")) == "a"
    assert found(tag("env", "test", "!=")) == "b"
    assert found(negated(tag("env", "test"))) == "bcd"
    assert found(negated(tag("env", "test", "!="))) == "acd"
    assert found(tag("env", "")) == ""
    assert found(tag("", "")) == "b"
    assert found(tag("", "", "!=")) == ""


def test_times(recorded: Recorded) -> None:
    names = {name: id_at(f"2026-01-13T12:00:0{second}", 999) for second, name in enumerate("abc")}
    names["d"] = id_at("2026-01-13T12:00:01", 0)
    recorded.chat("times", *names.values(), variant_name="times_filters")
    found = Found(recorded, "times", "times_filters", names)
    second = "2026-01-13T12:00:01Z"
    by = {comparison: found(at(second, comparison)) for comparison in COMPARISONS}
    assert by == {"<": "a", "<=": "abd", "=": "bd", ">": "c", ">=": "bcd", "!=": "ac"}
    for same in (
        "2026-01-13T12:00:01.999999Z",
        "2026-01-13T14:00:01+02:00",
        "2026-01-13T07:30:01-04:30",
        "2026-01-13t12:00:01z",
    ):
        assert found(at(same, "=")) == "bd"
    assert found(at("1900-01-01T00:00:00Z", ">")) == "abcd"
    assert found(at("1900-01-01T00:00:00Z", "<=")) == ""
    assert found(at("9999-12-31T23:59:59Z", "<")) == "abcd"
    assert found(both(at("2026-01-13T12:00:00Z", ">"), at("2026-01-13T12:00:02Z", "<"))) == "bd"
    assert found(either(at("2026-01-13T12:00:00Z", "="), at(second, "="))) == "abd"


def test_filters_are_also_called_filter(recorded: Recorded, scored: Found) -> None:
    wanted = {"function_name": "metrics", "variant_name": "metrics_filters"}
    assert "is now called `filters`" not in recorded.log
    assert recorded.ids(**wanted, filters=good(True), filter={"type": "nonsense"})
    assert "is now called `filters`" not in recorded.log
    assert recorded.ids(**wanted, filter=good(True)) == recorded.ids(**wanted, filters=good(True))
    assert len(recorded.ids(**wanted, filter=good(True))) == 1
    assert recorded.log.count("`filter` of inference queries is now called `filters`") == 1


@pytest.mark.parametrize(
    ("part", "given"),
    [
        ("filters: invalid type: sequence", []),
        ("filters: missing field `type`", {}),
        ("filters.type: unknown variant `nonsense`", {"type": "nonsense"}),
        ("filters: missing field `children`", {"type": "and"}),
        ("filters.children[1]: missing field `type`", both(both(), {})),
        ("filters: missing field `child`", {"type": "not"}),
        ("filters.child: invalid type: null", negated(None)),
        ("filters.child.child: missing field `metric_name`", negated(negated({"type": "boolean_metric", "value": True}))),
        ("filters.metric_name: ", good(True, None)),  # type: ignore[arg-type]  # what is refused
        ("filters.value: ", {**good(True), "value": "true"}),
        ("filters.value: ", {**good(True), "value": 1}),
        ("filters.value: ", {**score(1), "value": True}),
        ("filters.value: ", {**score(1), "value": "1"}),
        ("filters.comparison_operator: unknown variant `==`", score(1, "==")),
        ("filters: missing field `comparison_operator`", {"type": "tag", "key": "", "value": ""}),
        ("filters.comparison_operator: unknown variant `<`", tag("k", "v", "<")),
        ("filters.value: ", tag("k", None)),  # type: ignore[arg-type]  # what is refused
        ("filters.has_demonstration: ", {"type": "demonstration_feedback", "has_demonstration": 1}),
        ("filters.time: `yesterday`", at("yesterday", "<")),
        ("filters.time: `2026-01-13T12:00:00`", at("2026-01-13T12:00:00", "<")),
        ("filters.time: `2026-13-13T12:00:00Z`", at("2026-13-13T12:00:00Z", "<")),
        ("filters.time: ", at(1, "<")),  # type: ignore[arg-type]  # what is refused
    ],
)  # fmt: skip
def test_filters_of_the_wrong_shape(recorded: Recorded, part: str, given: Any) -> None:
    answer = recorded.post("list_inferences", {"filters": given})
    assert answer.status_code == 400, answer.text
    assert part in answer.json()["error"]


def test_keys_that_are_not_known_are_ignored(scored: Found) -> None:
    assert scored({**good(True), "more": 1}) == "a"
    assert scored({**negated({**good(True), "x": []}), "children": 1}) == "b"


def test_filters_nest_as_deep_as_64(recorded: Recorded, scored: Found) -> None:
    given = good(True)
    for _ in range(63):
        given = negated(given)
    assert scored(both()) == "abcn"
    found = recorded.ids(function_name="metrics", variant_name="metrics_filters", filters=given)
    assert len(found) == 1
    recorded.refused(400, "Filters may nest at most 64 levels deep", filters=negated(given))
