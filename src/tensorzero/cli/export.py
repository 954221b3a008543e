"""``tensorzero export --function F``: its flags."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tensorzero.cli.environment import CLICKHOUSE_URL
from tensorzero.cli.moments import FORMS, moment

FORMATS = ("parquet", "jsonl", "csv")

EPILOG = f"""\
One row for each inference, oldest first: id, episode_id, function_name, variant_name, timestamp
(UTC), input, output, output_schema, inference_params (JSON as it was recorded), tags,
processing_time_ms, ttft_ms; over its model inferences: models, model_inferences (how many),
input_tokens, output_tokens, provider_cache_read_input_tokens, provider_cache_write_input_tokens,
cost, cached, finish_reason; of its feedback: demonstration (the newest), comments (those of its
episode included), and metric_NAME with the newest value of each metric, of the inference or else
of its episode. In csv a missing value is empty, and tags, models and comments are JSON.

It is read in slices of bounded size, whether or not a gateway runs on the data directory. Its
progress is shown on standard error when that is a terminal. FILE appears when it is complete:
until then it has another name, and an export that fails leaves nothing.

TIME is {FORMS}; without a zone it is UTC.

environment variables:
  {CLICKHOUSE_URL}
                        http[s]://user:password@host:port/database of the ClickHouse server to
                        read (default: the embedded database of the data directory)
  TENSORZERO_DATA_DIR   the data directory, when `--data-dir` is not given

exit status: 0 done, 1 it failed (standard error says why), 2 the command line is wrong, 130 ended
by Ctrl-C, 141 the reader of the result went away

examples:
  tensorzero export --function draft_email --since 7d --output emails.parquet
  tensorzero export --function draft_email --format jsonl | head -1
"""


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "export",
        help="write a function's inferences and their feedback to a file",
        description="Write a function's inferences and their feedback to a file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--function", required=True, metavar="NAME", help="the function's inferences"
    )
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help="from then on (default: from the first)"
    )
    parser.add_argument(
        "--until", type=moment, metavar="TIME", help="before then (default: until now)"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="default: that of FILE's suffix, else jsonl; csv has a header line",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="data directory of the gateway (environment: TENSORZERO_DATA_DIR; default: ./data)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the file; returns the exit status."""
    # Not at the top: other commands, and --help, need not wait for it to load.
    from tensorzero.cli import exporting

    return exporting.run(arguments)
