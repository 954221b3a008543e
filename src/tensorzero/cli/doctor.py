"""``tensorzero doctor``: its flags, its question, its table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorzero.cli.examination import Finding

EPILOG = """\
Each provider of the configuration's models and embedding models, and of the shorthand models that
its variants name, is sent one request of a few tokens, without fallbacks and retries. That costs
money: it is asked for first, unless `--yes` is given. Nothing is recorded. A provider whose key
comes with each request is not asked.

exit status: 0 every provider that was asked answers, 1 something is wrong or nothing was sent,
2 the command line is wrong (also: no terminal to ask on, and no `--yes`), 130 ended by Ctrl-C

examples:
  tensorzero doctor --config-file 'config/**/*.toml'
  tensorzero doctor --model openai::gpt-5-mini --yes
"""
HEADER = ("model", "provider", "type", "credential", "latency", "result")


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "doctor",
        help="check credentials and reach each provider with one tiny request",
        description="Check credentials and reach each provider with one tiny request.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config-file",
        metavar="PATH_OR_GLOB",
        help="TOML file, or a glob such as 'config/**/*.toml' (default: none, `--model` names a "
        "shorthand)",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="only this model or embedding model of the configuration, or a shorthand such as "
        "openai::gpt-5-mini (default: all)",
    )
    parser.add_argument("--yes", action="store_true", help="send without asking")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(arguments: argparse.Namespace) -> int:
    """Print the table; returns the exit status."""
    # Not at the top: other commands, and --help, need not wait for it to load.
    from tensorzero.cli.examination import Examination
    from tensorzero.config.errors import ConfigErrors

    if arguments.config_file is None and arguments.model is None:
        arguments.usage_error("give `--config-file`, `--model` or both")
    try:
        examination = Examination.of(arguments.config_file, arguments.model)
    except ConfigErrors as error:
        for line in error.errors:
            print(f"tensorzero doctor: {line}", file=sys.stderr)
        return 1
    for line in examination.warnings:
        print(f"warning: {line}", file=sys.stderr)
    count = len(examination.asked)
    if count and not arguments.yes:
        if not sys.stdin.isatty():
            arguments.usage_error(
                f"there is no terminal to ask on: `--yes` sends one request to each of {count} "
                "provider(s) without asking"
            )
        if not _agreed(count):
            print("nothing was sent", file=sys.stderr)
            return 1
    findings = examination.run()
    for line in _table(findings):
        print(line)
    return 1 if any(one.status == "wrong" for one in findings) else 0


def _agreed(count: int) -> bool:
    sys.stderr.write(f"Send one request of a few tokens to each of {count} provider(s)? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _table(findings: Sequence[Finding]) -> list[str]:
    """Lines, columns under each other; the last one is as long as it has to be."""
    rows = [HEADER, *(one.cells() for one in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
