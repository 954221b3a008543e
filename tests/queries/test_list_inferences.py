"""``POST /v1/inferences/list_inferences``: pages, order, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from queries.recorded import Recorded, id_at, newest_first, text_input, text_output

CURSOR = "0190f000-0000-7000-8000-000000000001"
TIMESTAMP = {"by": "timestamp", "direction": "descending"}


@pytest.fixture(scope="module")
def future(recorded: Recorded) -> list[str]:
    """45 inferences of both types, newer than all others; newest first."""
    chat = [id_at("2090-01-01T00:00:00", 100 * at) for at in range(0, 45, 2)]
    json = [id_at("2090-01-01T00:00:00", 100 * at) for at in range(1, 45, 2)]
    # In two inserts each, so that no table has them in the order of time.
    recorded.chat("pages", *chat[10:])
    recorded.chat("pages", *chat[:10])
    recorded.json("pages_json", *json[10:])
    recorded.json("pages_json", *json[:10])
    return newest_first([*chat, *json])


def test_an_empty_request_lists_the_newest_of_all_functions(
    recorded: Recorded, future: list[str]
) -> None:
    for body in ({}, {"limit": None, "order_by": None, "filters": None, "something_new": 1}):
        assert recorded.ids(**body) == future[:20]
    assert recorded.ids(order_by=[]) == future[:20]
    kinds = {inference["type"] for inference in recorded.list()}
    assert kinds == {"chat", "json"}


def test_limit_and_offset(recorded: Recorded, future: list[str]) -> None:
    assert recorded.ids(limit=0) == []
    assert recorded.ids(limit=45) == future
    assert recorded.ids(offset=20) == future[20:40]
    assert recorded.ids(offset=40, limit=5) == future[40:]
    assert (
        recorded.ids(function_name="pages", offset=2, limit=3)
        == [one for one in future if one in recorded.ids(function_name="pages", limit=100)][2:5]
    )
    assert recorded.ids(limit=2**32 - 1, offset=2**32 - 1) == []
    # Both tables at once, where tags are read.
    tagless = {
        "type": "not",
        "child": {"type": "tag", "key": "no", "value": "", "comparison_operator": "="},
    }
    assert recorded.ids(offset=20, filters=tagless) == future[20:40]


@pytest.mark.parametrize("field", ["limit", "offset"])
@pytest.mark.parametrize("value", [-1, 1.5, 2**32, "1", True, [1]])
def test_pages_are_whole_numbers(recorded: Recorded, field: str, value: Any) -> None:
    answer = recorded.post("list_inferences", {field: value})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{field}: ")


def test_cursors_go_both_ways(recorded: Recorded, future: list[str]) -> None:
    for extra in ({}, {"order_by": [TIMESTAMP]}):
        assert recorded.ids(before=future[9], limit=5, **extra) == future[10:15]
        assert recorded.ids(after=future[9], limit=5, **extra) == future[4:9]
        assert recorded.ids(after=future[2], limit=5, **extra) == future[:2]
    assert recorded.ids(after=future[0]) == []
    assert (
        recorded.ids(function_name="pages", after=future[4], limit=1)
        == [one for one in future[:4] if one in recorded.ids(function_name="pages")][-1:]
    )


def test_cursors_need_not_exist_nor_be_of_version_7(recorded: Recorded, future: list[str]) -> None:
    assert recorded.ids(before="ffffffff-ffff-4fff-8fff-ffffffffffff", limit=3) == future[:3]
    assert recorded.ids(before="00000000-0000-0000-0000-000000000000") == []


def test_the_oldest_come_first_where_time_ascends(recorded: Recorded) -> None:
    ascending = [{"by": "timestamp", "direction": "ascending"}]
    first = [id_at("2026-03-01T00:00:00", at) for at in (100, 200)]
    second = [id_at("2026-03-01T00:00:01", at) for at in (100, 200)]
    recorded.chat("old", *first, *second, variant_name="by_time")
    # Within a second, the newest is first.
    assert recorded.ids(variant_name="by_time", order_by=ascending) == [*first[::-1], *second[::-1]]
    assert recorded.ids(variant_name="by_time") == [*second[::-1], *first[::-1]]
    # Not the neighbours of the cursor: the oldest of all.
    assert recorded.ids(variant_name="by_time", order_by=ascending, before=second[1], limit=2) == [
        *first[::-1]
    ]
    # Everything is turned: newest seconds first, oldest ids first, and the whole list again.
    assert recorded.ids(variant_name="by_time", order_by=ascending, after=first[0], limit=2) == [
        *second[::-1]
    ]


def test_names_that_are_not_there(recorded: Recorded, future: list[str]) -> None:
    recorded.refused(404, "Unknown function: nobody", function_name="nobody")
    recorded.refused(
        404, "Unknown function: nobody", "get_inferences", ids=[], function_name="nobody"
    )
    assert recorded.ids(variant_name="nobody") == []
    assert recorded.ids(episode_id=CURSOR) == []
    assert recorded.ids(function_name="tensorzero::default", variant_name="nobody") == []


def test_conditions_are_anded(recorded: Recorded) -> None:
    episode = id_at("2026-01-02T00:00:00")
    one, other, elsewhere = (id_at("2026-01-02T00:00:01") for _ in range(3))
    recorded.chat("pages", one, episode_id=episode, variant_name="and_a")
    recorded.chat("pages", other, episode_id=episode, variant_name="and_b")
    recorded.json("pages_json", elsewhere, episode_id=episode, variant_name="and_a")
    assert recorded.ids(episode_id=episode) == newest_first([one, other, elsewhere])
    assert recorded.ids(episode_id=episode, variant_name="and_a") == newest_first([one, elsewhere])
    wanted = {"episode_id": episode, "variant_name": "and_a", "function_name": "pages"}
    assert recorded.ids(**wanted) == [one]
    # An id in another of its spellings.
    assert recorded.ids(episode_id=episode.upper().replace("-", "")) == newest_first(
        [one, other, elsewhere]
    )
    tag = {
        "type": "not",
        "child": {"type": "tag", "key": "k", "value": "v", "comparison_operator": "="},
    }
    assert recorded.ids(**wanted, filters=tag) == [one]


def test_rows_of_a_function_that_was_of_the_other_type(recorded: Recorded) -> None:
    """The type of today tells the table."""
    mine, former = id_at("2026-01-03T00:00:00"), id_at("2026-01-03T00:00:00")
    recorded.chat("pages", mine, variant_name="changed")
    recorded.json("pages", former, variant_name="changed")
    assert recorded.ids(function_name="pages", variant_name="changed") == [mine]
    assert recorded.ids(variant_name="changed") == newest_first([mine, former])
    assert [one["inference_id"] for one in recorded.get(mine, former, function_name="pages")] == [
        mine
    ]


def test_a_row_that_was_written_twice_is_one_inference(recorded: Recorded) -> None:
    twice = id_at("2026-01-04T00:00:00")
    recorded.chat("pages", twice, variant_name="twice")
    recorded.chat("pages", twice, variant_name="twice")
    assert recorded.ids(variant_name="twice") == [twice]
    assert recorded.ids(variant_name="twice", search_query_experimental="out") == [twice]
    assert len(recorded.get(twice)) == 1


def test_ordering_by_a_metric(recorded: Recorded) -> None:
    ids = [id_at("2026-01-05T00:00:00") for _ in range(5)]
    recorded.chat("metrics", *ids, variant_name="order")
    for inference_id, score, good in zip(ids, (0.5, 2.0, 0.5), (True, False, True), strict=False):
        recorded.feedback("score", inference_id, score)
        recorded.feedback("good", inference_id, good)
    without = [ids[4], ids[3]]
    wanted = {"function_name": "metrics", "variant_name": "order"}

    def ordered(*terms: Any) -> list[str]:
        return recorded.ids(**wanted, order_by=list(terms))

    score = {"by": "metric", "name": "score"}
    assert ordered(score) == [ids[1], ids[2], ids[0], *without]
    assert ordered({**score, "direction": "ascending"}) == [ids[2], ids[0], ids[1], *without]
    good = {"by": "metric", "name": "good", "direction": "ascending"}
    assert ordered(good) == [ids[1], ids[2], ids[0], *without]
    assert ordered(good, {**score, "direction": "descending"}, TIMESTAMP) == [
        *(ids[1], ids[2], ids[0]),
        *without,
    ]
    assert ordered(TIMESTAMP, score) == [ids[1], ids[2], ids[0], *without]
    tagless = {
        "type": "not",
        "child": {"type": "tag", "key": "k", "value": "v", "comparison_operator": "="},
    }
    assert recorded.ids(**wanted, order_by=[score], filters=tagless) == ordered(score)


def test_ordering_by_an_episodes_metric(recorded: Recorded) -> None:
    episodes = [id_at("2026-01-06T00:00:00") for _ in range(2)]
    ids = [id_at("2026-01-06T00:00:01") for _ in range(4)]
    for at, inference_id in enumerate(ids):
        recorded.chat("episodes", inference_id, variant_name="order", episode_id=episodes[at % 2])
    recorded.feedback("mood", episodes[0], 1.0)
    recorded.feedback("mood", episodes[1], 2.0)
    wanted = {"function_name": "episodes", "variant_name": "order"}
    order = [{"by": "metric", "name": "mood"}]
    assert recorded.ids(**wanted, order_by=order) == [ids[3], ids[1], ids[2], ids[0]]
    assert recorded.ids(**wanted, order_by=order, episode_id=episodes[0]) == [ids[2], ids[0]]


def test_search_finds_stored_text(recorded: Recorded) -> None:
    ids = [id_at("2026-01-07T00:00:00") for _ in range(4)]
    wanted: dict[str, Any] = {"function_name": "search", "variant_name": "words"}
    inputs = ['say "hi" to Ärger', "nothing here", "ÄRGER ärger", "back\\slash and\ttab"]
    for inference_id, given in zip(ids, inputs, strict=True):
        recorded.chat(
            "search",
            inference_id,
            variant_name="words",
            input=text_input(given),
            output=text_output("Ärger again" if inference_id == ids[2] else "plain"),
        )

    def found(query: str, **extra: Any) -> list[str]:
        return recorded.ids(**wanted, search_query_experimental=query, **extra)

    relevance = [{"by": "search_relevance"}]
    assert found("ärger") == [ids[2], ids[0]]
    assert found("ÄRGER", order_by=relevance) == [ids[2], ids[0]]
    assert found("ärger", order_by=[{"by": "search_relevance", "direction": "ascending"}]) == [
        ids[0],
        ids[2],
    ]
    assert found('SAY "HI"') == [ids[0]]
    assert found("back\\slash") == [ids[3]]
    assert found("and\ttab") == [ids[3]]
    assert found("PLAIN", output_source="none") == [ids[3], ids[1], ids[0]]
    assert found("ROLE") == ids[::-1]
    assert found("no such text") == []
    assert found("") == []
    everywhere = recorded.ids(
        variant_name="words", search_query_experimental="ärger", order_by=relevance
    )
    assert everywhere == [ids[2], ids[0]]


METRIC = {"by": "metric", "name": "score"}
RELEVANCE = {"by": "search_relevance"}
NOT_CONFIGURED = {"by": "metric", "name": "nothing"}
UNKNOWN_METRIC = {"type": "boolean_metric", "metric_name": "nothing", "value": True}


@pytest.mark.parametrize(
    ("status", "text", "body"),
    [
        (
            400,
            "Cannot specify both 'before' and 'after' parameters",
            {"after": CURSOR, "offset": 0},
        ),
        (400, "Cannot use 'offset' with cursor pagination ('before' or 'after')", {"offset": 0}),
        (
            400,
            "Cannot use 'offset' with cursor pagination ('before' or 'after')",
            {"offset": 5, "order_by": [METRIC]},
        ),
        (
            400,
            "Cannot order by metric 'score'; only ordering by timestamp is supported with "
            "before/after pagination.",
            {"order_by": [TIMESTAMP, METRIC], "function_name": "nobody"},
        ),
        (
            400,
            "Cannot order by search relevance; only ordering by timestamp is supported with "
            "before/after pagination.",
            {"order_by": [RELEVANCE, METRIC], "function_name": "nobody"},
        ),
        (404, "Unknown function: nobody", {"function_name": "nobody", "filters": UNKNOWN_METRIC}),
    ],
)
def test_what_is_refused_with_a_cursor(
    recorded: Recorded, status: int, text: str, body: dict[str, Any]
) -> None:
    recorded.refused(status, text, before=CURSOR, **body)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("Invalid metric name: nothing", {"filters": UNKNOWN_METRIC, "order_by": [RELEVANCE]}),
        ("Invalid metric name: nothing", {"filters": {"type": "not", "child": UNKNOWN_METRIC}}),
        (
            "Invalid metric name: nothing",
            {"order_by": [NOT_CONFIGURED], "function_name": "metrics"},
        ),
        (
            "ORDER BY metric 'score' is not supported when querying without function_name",
            {"order_by": [METRIC]},
        ),
        (
            "ORDER BY metric 'nothing' is not supported when querying without function_name",
            {"order_by": [NOT_CONFIGURED]},
        ),
        (
            "ORDER BY search_relevance requires search_query_experimental to be provided",
            {"order_by": [RELEVANCE], "function_name": "metrics"},
        ),
        (
            "ORDER BY relevance requires search_query_experimental in the request",
            {"order_by": [RELEVANCE]},
        ),
    ],
)
def test_what_is_refused(recorded: Recorded, text: str, body: dict[str, Any]) -> None:
    recorded.refused(400, text, **body)


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("expected an object", []),
        ("function_name: ", {"function_name": 1}),
        ("variant_name: ", {"variant_name": ["v"]}),
        ("episode_id: ", {"episode_id": "no-uuid"}),
        ("before: ", {"before": "1"}),
        ("after: ", {"after": 1}),
        ("output_source: unknown variant `all`", {"output_source": "all"}),
        ("search_query_experimental: ", {"search_query_experimental": 1}),
        ("order_by: ", {"order_by": {"by": "timestamp"}}),
        ("order_by[0]: missing field `by`", {"order_by": [{}]}),
        ("order_by[0].by: ", {"order_by": [{"by": "id"}]}),
        ("order_by[0].direction: ", {"order_by": [{"by": "timestamp", "direction": "up"}]}),
        ("order_by[0]: missing field `name`", {"order_by": [{"by": "metric"}]}),
    ],
)
def test_requests_of_the_wrong_shape(recorded: Recorded, part: str, body: Any) -> None:
    answer = recorded.post("list_inferences", body)
    assert answer.status_code == 400, answer.text
    assert part in answer.json()["error"]


def test_only_posts(recorded: Recorded) -> None:
    answer = recorded.client.get(f"{recorded.url}/v1/inferences/list_inferences")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
