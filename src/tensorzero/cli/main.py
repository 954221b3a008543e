"""``tensorzero gateway | check | doctor | query | export | prune``."""

from __future__ import annotations

import argparse
import os
import sys
import traceback

from tensorzero.cli import check, doctor, export, gateway, prune, query
from tensorzero.server.logs import place_of
from tensorzero.version import VERSION

INTERRUPTED = 130
"""Ended by Ctrl-C, as shells number it."""

EPILOG = """\
`tensorzero COMMAND --help` explains each command with its flags and environment variables.

exit status: 0 done, 1 it failed (the last line says why), 2 the command line is wrong,
130 ended by Ctrl-C
"""


def parser() -> argparse.ArgumentParser:
    """The command line of ``tensorzero``."""
    top = argparse.ArgumentParser(
        prog="tensorzero",
        description="A fast LLM gateway that records every inference.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"tensorzero {VERSION}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (gateway, check, doctor, query, export, prune):
        module.add_to(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; returns the exit status."""
    parsed = parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        # A fault of ours. Its text may hold what a user wrote, so only its place is shown.
        print(f"tensorzero: unexpected error: {place_of(error)}", file=sys.stderr)
        if os.environ.get("RUST_LOG", "").lower() in ("debug", "trace"):
            traceback.print_exc()
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
