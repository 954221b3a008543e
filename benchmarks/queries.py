"""How fast recorded inferences are found among a million: ``make bench-queries``.

A gateway with its embedded database is filled by ``query_data``; then each request is sent over
HTTP, one at a time, each time with other ids or values, so that nothing is answered from a cache
of results. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from processes import Gateway, cpu_seconds, exit_on_sigterm, wait_until_quiet
from query_data import CONFIG, INFERENCES, QUALITY, SOLVED, fill
from report import bar, bars_table, machine, median, say

from tensorzero.storage.database.connection_file import read_connection

NEWEST = 10_000
Body = Callable[[int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """A request; ``bar_ms`` is for its median, ``wanted`` the inferences in each answer."""

    name: str
    route: str
    body: Body
    wanted: int
    bar_ms: float | None = None


def queries(ids: list[str]) -> list[Query]:
    """``ids`` are all, newest first."""
    chosen = random.Random(1)

    def some(among: list[str]) -> Body:
        return lambda run: {"ids": chosen.sample(among, 100)}

    def newest(**more: Any) -> Body:
        return lambda run: {"function_name": "assistant", "limit": 50, **more}

    def scored(run: int) -> dict[str, Any]:
        metric = {"type": "float_metric", "metric_name": QUALITY, "comparison_operator": ">="}
        return newest(filters={**metric, "value": 0.5 + run / 1000})(run)

    def unsolved(run: int) -> dict[str, Any]:
        solved = [
            {"type": "boolean_metric", "metric_name": SOLVED, "value": value}
            for value in (True, False)
        ]
        return newest(filters={"type": "not", "child": {"type": "or", "children": solved}})(run)

    def tagged(run: int) -> dict[str, Any]:
        tag = {"type": "tag", "key": "user", "comparison_operator": "="}
        return newest(filters={**tag, "value": str(100 + run)})(run)

    def page(run: int) -> dict[str, Any]:
        return newest(before=ids[len(ids) // 2 + run])(run)

    best = [{"by": "metric", "name": QUALITY}]
    words = ("invoice", "worth", "Lyon", "letters", "customers")
    return [
        Query("get 100 random ids", "get_inferences", some(ids), 100, 600),
        Query("get 100 of the newest 10,000", "get_inferences", some(ids[:NEWEST]), 100, 60),
        Query("newest 50 of a function", "list_inferences", newest(), 50, 100),
        Query("the same, float metric ≥ x", "list_inferences", scored, 50, 400),
        Query("newest 20 of all", "list_inferences", lambda run: {}, 20),
        Query("50 before an id in the middle", "list_inferences", page, 50),
        Query("newest 50 without a boolean metric", "list_inferences", unsolved, 50),
        Query("newest 50 with a tag", "list_inferences", tagged, 50),
        Query("the 50 best by a float metric", "list_inferences", newest(order_by=best), 50),
        Query(
            "newest 50 with a text",
            "list_inferences",
            lambda run: newest(search_query_experimental=words[run % 5])(run),
            50,
        ),
        Query(
            "newest 50 with a demonstration",
            "list_inferences",
            newest(output_source="demonstration"),
            50,
        ),
    ]


def measure(gateway: Gateway, query: Query, client: httpx.Client, runs: int) -> list[str]:
    """One row: median and worst time, and the processor time of an average answer."""
    url = gateway.url.replace("/inference", f"/v1/inferences/{query.route}")
    times = []
    before = sum(map(cpu_seconds, gateway.pids))
    for run in range(runs + 1):
        started = time.perf_counter()
        answer = client.post(url, json=query.body(run))
        times.append((time.perf_counter() - started) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"benchmarks: {query.name}: {answer.text[:2000]}")
        found = len(answer.json()["inferences"])
        if found != query.wanted:
            raise SystemExit(f"benchmarks: {query.name}: {found} instead of {query.wanted}")
    spent = (sum(map(cpu_seconds, gateway.pids)) - before) / (runs + 1) * 1000
    # The first opens connections.
    middle, worst = median(times[1:]), max(times[1:])
    limit = "-" if query.bar_ms is None else f"≤ {query.bar_ms:g} ms"
    held = query.bar_ms is None or middle <= query.bar_ms
    text = f"{middle:.0f} ms, worst {worst:.0f}, processor {spent:.0f}"
    return bar(query.name, limit, text, held)


def newest_first(gateway: Gateway, client: httpx.Client) -> list[str]:
    """All ids."""
    database = read_connection(gateway.data_dir)
    assert database is not None
    answer = client.post(
        database.origin,
        content="SELECT uint_to_uuid(id_uint) FROM InferenceById ORDER BY id_uint DESC",
        auth=(database.username or "", database.password or ""),
    )
    return answer.text.split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inferences", type=int, default=INFERENCES)
    parser.add_argument("--runs", type=int, default=11, help="measured requests of each kind")
    parser.add_argument("--only", default="", help="requests whose name has this text")
    options = parser.parse_args()
    exit_on_sigterm()
    about = machine()
    with (
        Gateway(None, config_text=CONFIG) as gateway,
        httpx.Client(timeout=300) as client,
    ):
        database = read_connection(gateway.data_dir)
        assert database is not None
        say(f"writing {options.inferences:,} inferences and what belongs to them")
        fill(database, options.inferences)
        others = wait_until_quiet(gateway.pids)
        busy = "still busy" if others is None else f"others keep {others:.1f} cores busy"
        say(f"measuring; {busy}")
        rows = [
            measure(gateway, query, client, options.runs)
            for query in queries(newest_first(gateway, client))
            if options.only in query.name
        ]
    print(about)
    print(bars_table(f"Among {options.inferences:,} inferences, {busy}", rows))
    return int(any(row[0] == "MISS" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
