"""``tensorzero prune --before DATE``: its flags."""

from __future__ import annotations

import argparse
from typing import Any

from tensorzero.cli.environment import CLICKHOUSE_CLUSTER, CLICKHOUSE_URL
from tensorzero.cli.moments import FORMS, moment

EPILOG = f"""\
With an inference go its model inferences, its index and tag rows, and the feedback about it;
feedback about an episode goes with the last inference of the episode; finished batches and
entries of the inference cache go by their age. What stays: statistics and usage, datasets,
evaluation and workflow runs, and stored files. `--raw-only` keeps all rows and empties what
providers were sent and answered, word for word: raw_request and raw_response of model inferences,
batches and cache.

It says how many rows of each table go and about how many bytes they take on disk, and asks.
The rows are gone when it ends. The disk space of embedded tables is free some ten minutes later,
without a running gateway after the next start (until then it takes more: tables are rewritten
without these rows). A prune that was interrupted is
completed by the same command. A running gateway goes on meanwhile. Whoever can read the data
directory's database/connection.json, or has the server's credentials, can prune.

TIME is {FORMS}; without a zone it is UTC.

environment variables:
  {CLICKHOUSE_URL}
                        http[s]://user:password@host:port/database of the ClickHouse server to
                        prune (default: the embedded database of the data directory)
  {CLICKHOUSE_CLUSTER}
                        its cluster, when it has one
  TENSORZERO_DATA_DIR   the data directory, when `--data-dir` is not given

exit status: 0 done, or nothing to do, 1 it failed or was declined (standard error says why), 2 the
command line is wrong, 130 ended by Ctrl-C

examples:
  tensorzero prune --before 90d --raw-only --dry-run
  tensorzero prune --before 2026-01-01 --function draft_email --yes
"""


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "prune",
        help="delete old inferences, or empty their raw provider bodies",
        description="Delete inferences from before a time, or empty their raw provider bodies.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--before", type=moment, required=True, metavar="TIME", help="inferences older than that"
    )
    parser.add_argument(
        "--function", metavar="NAME", help="this function's alone (default: every function's)"
    )
    parser.add_argument(
        "--raw-only", action="store_true", help="empty the raw provider bodies, keep the rest"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would go, and change nothing"
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask; needed where there is no terminal to ask on"
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="data directory of the gateway (environment: TENSORZERO_DATA_DIR; default: ./data)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prune; returns the exit status."""
    # Not at the top: other commands, and --help, need not wait for it to load.
    from tensorzero.cli import pruning

    return pruning.run(arguments)
