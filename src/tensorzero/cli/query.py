"""``tensorzero query "SELECT …"``: its flags."""

from __future__ import annotations

import argparse
from typing import Any

from tensorzero.cli.environment import CLICKHOUSE_URL

TIME_LIMIT_S = 60
MEMORY_LIMIT_BYTES = 512 * 1024 * 1024
SHORT_FORMATS = {
    "table": "PrettyCompact",
    "tsv": "TabSeparated",
    "csv": "CSVWithNames",
    "json": "JSON",
    "jsonl": "JSONEachRow",
    "parquet": "Parquet",
}
READS = "SELECT, WITH, SHOW, DESCRIBE, EXPLAIN and EXISTS"

EPILOG = f"""\
The result comes in the query's own FORMAT, else in that of `--format`, else as a table on a
terminal and as tab-separated values without header in a pipe or file. A query may run for {TIME_LIMIT_S} s and take
{MEMORY_LIMIT_BYTES >> 20} MiB; it ends with this command (Ctrl-C, a closed pipe).

While a gateway runs on the data directory, it is asked; otherwise the embedded database is opened
here, after rows that wait in the spool have been written to it.

environment variables:
  {CLICKHOUSE_URL}
                        http[s]://user:password@host:port/database of the ClickHouse server to
                        read (default: the embedded database of the data directory)
  TENSORZERO_DATA_DIR   the data directory, when `--data-dir` is not given

exit status: 0 done, 1 it failed (the database's error is on standard error), 2 the command line
is wrong, 130 ended by Ctrl-C, 141 the reader of the result went away

examples:
  tensorzero query "SELECT function_name, count() FROM ChatInference GROUP BY 1"
  tensorzero query --format Vertical "SELECT * FROM ModelInference LIMIT 1"
  tensorzero query --format parquet "SELECT id, input FROM ChatInference" > inferences.parquet
"""


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "query",
        help="run one SQL query on what was recorded",
        description=f"Run one SQL query on what was recorded. It can only read: {READS}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("sql", metavar="SQL", help="one statement of ClickHouse SQL")
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="data directory of the gateway (environment: TENSORZERO_DATA_DIR; default: ./data)",
    )
    parser.add_argument(
        "--format",
        type=_format_name,
        metavar="FORMAT",
        help=f"{', '.join(SHORT_FORMATS)} (csv with a header line, tsv without), or any output "
        "format of ClickHouse by its name",
    )
    parser.set_defaults(run=run)


def _format_name(text: str) -> str:
    if not (text.isascii() and text.isalnum()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name of a format, such as {', '.join(SHORT_FORMATS)} or Vertical"
        )
    return text


def run(arguments: argparse.Namespace) -> int:
    """Print the result; returns the exit status."""
    # Not at the top: other commands, and --help, need not wait for it to load.
    from tensorzero.cli import reading

    return reading.run(arguments)
