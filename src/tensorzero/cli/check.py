"""``tensorzero check``: validate a configuration without starting."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load


def add_to(commands: Any) -> None:
    parser = commands.add_parser("check", help="validate a configuration without starting")
    parser.add_argument("--config-file", required=True, metavar="PATH_OR_GLOB")
    parser.add_argument(
        "--no-credentials", action="store_true", help="do not ask for keys and key files"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
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
