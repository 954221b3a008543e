"""``tensorzero gateway | check | query``."""

from __future__ import annotations

import argparse
import sys

from tensorzero.cli import check, gateway, query
from tensorzero.version import VERSION


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; returns the exit status (1 for every failure to start)."""
    parser = argparse.ArgumentParser(
        prog="tensorzero", description="A fast LLM gateway that records every inference."
    )
    parser.add_argument("--version", action="version", version=f"tensorzero {VERSION}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (gateway, check, query):
        module.add_to(commands)
    parsed = parser.parse_args(arguments)
    status: int = parsed.run(parsed)
    return status


if __name__ == "__main__":
    sys.exit(main())
