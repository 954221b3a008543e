"""``tensorzero gateway``: the server's flags."""

from __future__ import annotations

import argparse
from typing import Any

from tensorzero.cli.environment import BIND_ADDRESS, CLICKHOUSE_CLUSTER, CLICKHOUSE_URL
from tensorzero.version import VERSION

EPILOG = f"""\
environment variables:
  {BIND_ADDRESS}
                        the address to listen on, when `--bind-address` is not given
  {CLICKHOUSE_URL}
                        http[s]://user:password@host:port/database of a ClickHouse server
                        (default: the embedded database)
  {CLICKHOUSE_CLUSTER}
                        name of a self-hosted replicated cluster
  TENSORZERO_OVERRIDE_NON_REPLICATED_CLICKHOUSE
                        1: use a server that is part of a cluster without replication
  TENSORZERO_DATA_DIR   the data directory, when `--data-dir` is not given
  RUST_LOG, TENSORZERO_LOG
                        log level: trace, debug, info, warn, error or off; or directives such as
                        tensorzero=debug,httpx=info (default: info, libraries warn)
  TENSORZERO_PLAIN_HTTP 1: serve everything by uvicorn's own HTTP protocol instead of the compiled
                        one; slower, for finding out whether a fault is in the latter
  <PROVIDER>_API_KEY …  keys of model providers, as the configuration names them

signals:
  SIGTERM, SIGINT       stop accepting, finish running requests and streams, write their rows,
                        exit 0; SIGHUP: the same one second later; a second SIGTERM or SIGINT
                        ends at once (what was answered is in the spool)

exit status: 0 stopped as asked, or the asked check passed; 1 it could not start, and the last
line says why; 2 the command line is wrong; 128 + N ended at once by a second signal N
"""


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "gateway",
        help="run the gateway server",
        description="Serve the functions of a configuration and record every inference.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config-file",
        metavar="PATH_OR_GLOB",
        help="TOML file, or a glob such as 'config/**/*.toml' whose files are merged; this or "
        "--default-config is needed",
    )
    parser.add_argument(
        "--default-config",
        action="store_true",
        help="run without a configuration: no functions, models by shorthand only",
    )
    parser.add_argument(
        "--bind-address",
        metavar="IP:PORT",
        help="address to listen on, port 0 for any free one; not together with "
        f"gateway.bind_address in the config (environment: {BIND_ADDRESS}; default: "
        "0.0.0.0:3000)",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="worker processes (default: 1)"
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="where spool, embedded database and files lie; made if absent "
        "(environment: TENSORZERO_DATA_DIR; default: ./data)",
    )
    parser.add_argument(
        "--log-format",
        choices=("pretty", "json"),
        default="pretty",
        help="logs on standard output as lines for people or as JSON (default: pretty)",
    )
    instead = parser.add_argument_group(
        "instead of serving", "at most one of these"
    ).add_mutually_exclusive_group()
    instead.add_argument(
        "--validate-and-exit",
        action="store_true",
        help="start everything but the server, the database included, and exit with 0 or 1",
    )
    instead.add_argument(
        "--run-clickhouse-migrations",
        "--run-migrations",
        action="store_true",
        help=f"bring the database of {CLICKHOUSE_URL} up to date and exit; needs no configuration",
    )
    instead.add_argument(
        "--run-postgres-migrations",
        action="store_true",
        help="does nothing and exits with 0: nothing is kept in Postgres",
    )
    instead.add_argument("--create-api-key", action="store_true", help=argparse.SUPPRESS)
    instead.add_argument("--disable-api-key", metavar="PUBLIC_ID", help=argparse.SUPPRESS)
    instead.add_argument("--migrate-config", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--expiration", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"tensorzero {VERSION}")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve, or do what is asked instead; returns the exit status."""
    # Not at the top: other commands, and --help, need not wait for half of the program to load.
    from tensorzero.cli import serve

    return serve.run(arguments)
