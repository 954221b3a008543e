"""``tensorzero gateway``: the server."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import sys
from typing import Any

from tensorzero.cli.data_dir import data_dir
from tensorzero.config.config import Config
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load, load_default
from tensorzero.config.read_gateway import parse_socket_address
from tensorzero.server.logs import set_up_logs
from tensorzero.server.settings import Settings
from tensorzero.server.supervisor import StartError, Supervisor, take_slot
from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.remote import RemoteDatabase
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.storage.schema.migrations import migrate
from tensorzero.version import VERSION

DEFAULT_ADDRESS = "0.0.0.0:3000"


def add_to(commands: Any) -> None:
    parser = commands.add_parser("gateway", help="run the gateway server")
    parser.add_argument("--config-file", metavar="PATH_OR_GLOB", help="TOML file, or a glob")
    parser.add_argument(
        "--default-config", action="store_true", help="no functions, models by shorthand only"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="worker processes")
    parser.add_argument(
        "--bind-address",
        metavar="IP:PORT",
        help="also TENSORZERO_GATEWAY_BIND_ADDRESS; default 0.0.0.0:3000",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="also TENSORZERO_DATA_DIR; ./data")
    parser.add_argument("--log-format", choices=("pretty", "json"), default="pretty")
    parser.add_argument(
        "--run-clickhouse-migrations",
        "--run-migrations",
        action="store_true",
        help="migrate the database of TENSORZERO_CLICKHOUSE_URL and exit",
    )
    parser.add_argument(
        "--validate-and-exit", action="store_true", help="check the configuration and exit"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    set_up_logs(arguments.log_format)
    try:
        if arguments.run_clickhouse_migrations:
            return _migrate()
        return _serve(arguments)
    except ConfigErrors as error:
        for line in error.errors:
            print(line, file=sys.stderr)
    except (StartError, DatabaseError, OSError, ValueError) as error:
        print(f"tensorzero gateway: {error}", file=sys.stderr)
    return 1


def _migrate() -> int:
    url = os.environ.get("TENSORZERO_CLICKHOUSE_URL")
    if not url:
        raise StartError("`--run-clickhouse-migrations` needs TENSORZERO_CLICKHOUSE_URL")
    with RemoteDatabase(DatabaseURL.parse(url)) as database:
        report = migrate(
            database,
            version=VERSION,
            cluster=os.environ.get("TENSORZERO_CLICKHOUSE_CLUSTER_NAME"),
            manual=True,
        )
    print(f"migrations applied: {len(report.applied)}")
    return 0


def _load(arguments: argparse.Namespace) -> Config:
    if arguments.default_config == (arguments.config_file is not None):
        raise StartError("exactly one of `--config-file` and `--default-config` is needed")
    return load_default() if arguments.default_config else load(arguments.config_file)


def _address(arguments: argparse.Namespace, config: Config) -> tuple[str, int]:
    given = arguments.bind_address or os.environ.get("TENSORZERO_GATEWAY_BIND_ADDRESS")
    configured = config.gateway.bind_address
    if given and configured:
        raise StartError(
            "the bind address is given twice: by `gateway.bind_address` in the config and by "
            "`--bind-address` or TENSORZERO_GATEWAY_BIND_ADDRESS; keep one"
        )
    text = given or configured or DEFAULT_ADDRESS
    try:
        return parse_socket_address(text)
    except ValueError as error:
        raise StartError(f"bind address `{text}`: {error}, expected `ip:port`") from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: without it asyncio does not switch Nagle's algorithm off.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.listen(4096)
    listener.setblocking(False)
    return listener


def _serve(arguments: argparse.Namespace) -> int:
    config = _load(arguments)
    for line in config.warnings:
        print(f"warning: {line}", file=sys.stderr)
    host, port = _address(arguments, config)
    if arguments.workers < 1:
        raise StartError("`--workers` must be at least 1")
    records = config.gateway.observability.enabled is not False
    url = os.environ.get("TENSORZERO_CLICKHOUSE_URL")
    if url:
        DatabaseURL.parse(url)
    elif records and importlib.util.find_spec("chdb") is None:
        raise StartError(
            "the embedded database needs chDB: `pip install 'tensorzero-gateway[embedded]'`, or "
            "set TENSORZERO_CLICKHOUSE_URL to a ClickHouse server"
        )
    if arguments.validate_and_exit:
        print(f"ok: config hash {config.snapshot.hash}")
        return 0
    directory = data_dir(arguments.data_dir)
    listener = _listen(host, port)
    spool, slot = take_slot(directory, shared=bool(url))
    settings = Settings(
        config_file=arguments.config_file,
        data_dir=str(directory),
        spool_dir=str(spool),
        log_format=arguments.log_format,
        workers=arguments.workers,
        records=records,
        embedded=not url,
    )
    shown = f"[{host}]" if ":" in host else host
    files = arguments.config_file or "default"
    announce = f"listening on {shown}:{listener.getsockname()[1]}, config {files}"
    return Supervisor(settings, config, listener, slot).run(announce)
