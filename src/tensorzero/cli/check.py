"""``tensorzero check``: validate a configuration without starting."""

from __future__ import annotations

import argparse
import sys
from typing import Any

EPILOG = """\
Every fault is reported, one line each, with its file and key. The database and the network are
not touched; `tensorzero gateway --validate-and-exit` tries the database too.

exit status: 0 the configuration is right, 1 it is not, 2 the command line is wrong
"""


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "check",
        help="validate a configuration without starting",
        description="Read and check a configuration as the gateway would at its start.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config-file",
        required=True,
        metavar="PATH_OR_GLOB",
        help="TOML file, or a glob such as 'config/**/*.toml' whose files are merged (required)",
    )
    parser.add_argument(
        "--no-credentials",
        action="store_true",
        help="do not ask for keys and key files (default: a missing one is an error)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Report what is wrong; returns the exit status."""
    # Not at the top: other commands, and --help, need not wait for it to load.
    from tensorzero.config.errors import ConfigErrors
    from tensorzero.config.load import load

    try:
        config = load(arguments.config_file, check_credentials=not arguments.no_credentials)
    except ConfigErrors as error:
        for line in error.errors:
            print(line, file=sys.stderr)
        return 1
    for line in config.warnings:
        print(f"warning: {line}", file=sys.stderr)
    print(
        f"ok: {len(config.files)} file(s), {len(config.functions)} function(s), "
        f"{len(config.models)} model(s), hash {config.snapshot.hash}"
    )
    return 0
