"""What ``tensorzero gateway`` does with its flags."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from tensorzero.cli.data_dir import data_dir
from tensorzero.cli.environment import (
    CLICKHOUSE_CLUSTER,
    CLICKHOUSE_URL,
    clickhouse_url,
    embedded_engine_missing,
    unused_variables,
)
from tensorzero.cli.listening import bind_address, listen, shown_address
from tensorzero.config.config import Config
from tensorzero.config.errors import ConfigErrors
from tensorzero.config.load import load, load_default
from tensorzero.server.children import StartError
from tensorzero.server.logs import set_up_logs
from tensorzero.server.settings import Settings
from tensorzero.server.slot import SlotTaken, take_slot
from tensorzero.server.supervisor import Supervisor
from tensorzero.storage.database.errors import DatabaseError
from tensorzero.storage.database.url import DatabaseURL
from tensorzero.version import VERSION

log = logging.getLogger("tensorzero")

NOT_YET = {
    "create_api_key": "`--create-api-key`: authentication is not provided by this version yet",
    "disable_api_key": "`--disable-api-key`: authentication is not provided by this version yet",
    "expiration": "`--expiration`: authentication is not provided by this version yet",
    "migrate_config": "`--migrate-config`: the configuration is always read from files here",
}


def run(arguments: argparse.Namespace) -> int:
    """Serve, or do what is asked instead; returns the exit status."""
    for line in set_up_logs(arguments.log_format):
        log.warning(line)
    try:
        for name, text in NOT_YET.items():
            if getattr(arguments, name):
                raise StartError(text)
        if arguments.run_postgres_migrations:
            print("nothing is kept in Postgres: there is nothing to migrate")
            return 0
        if arguments.run_clickhouse_migrations:
            return _migrate()
        return _start(arguments)
    except ConfigErrors as error:
        _complain(arguments, *error.errors)
    except (StartError, DatabaseError, OSError) as error:
        _complain(arguments, str(error))
    return 1


def _complain(arguments: argparse.Namespace, *lines: str) -> None:
    """Why it does not start: for people on standard error, for machines in the log."""
    for line in lines:
        if arguments.log_format == "json":
            log.error(line)
        else:
            print(f"tensorzero gateway: {line}", file=sys.stderr)


def _migrate() -> int:
    url = clickhouse_url()
    if url is None:
        raise StartError(f"`--run-clickhouse-migrations` needs {CLICKHOUSE_URL}")
    # Not at the top, as below: serving needs none of it, and starts without waiting for it.
    from tensorzero.storage.database.remote import RemoteDatabase
    from tensorzero.storage.schema.migrations import migrate

    with RemoteDatabase(url) as database:
        report = migrate(
            database,
            version=VERSION,
            cluster=os.environ.get(CLICKHOUSE_CLUSTER),
            manual=True,
        )
    print(f"migrations applied: {len(report.applied)}")
    return 0


def _load(arguments: argparse.Namespace) -> Config:
    if arguments.default_config == (arguments.config_file is not None):
        raise StartError("exactly one of `--config-file` and `--default-config` is needed")
    return load_default() if arguments.default_config else load(arguments.config_file)


def _start(arguments: argparse.Namespace) -> int:
    config = _load(arguments)
    set_up_logs(arguments.log_format, debug=config.gateway.debug)
    for line in (*config.warnings, *unused_variables(os.environ)):
        log.warning(line)
    host, port = bind_address(arguments.bind_address, config)
    if arguments.workers < 1:
        raise StartError("`--workers` must be at least 1")
    records = config.gateway.observability.enabled is not False
    url = clickhouse_url() if records else None
    if records and url is None and embedded_engine_missing():
        raise StartError(
            "the embedded database needs chDB: `pip install 'tensorzero-gateway[embedded]'`, or "
            f"set {CLICKHOUSE_URL} to a ClickHouse server"
        )
    if config.object_storage is not None:
        from tensorzero.gateway.object_store import open_store

        store = open_store(config.object_storage.kind)
        if store is not None:
            store.validate()
    if arguments.validate_and_exit:
        database = _validate(arguments, config, url) if records else "none, recording is off"
        print(f"ok: config hash {config.snapshot.hash}, database {database}")
        return 0
    listener = listen(host, port)
    directory, spool, slot = None, None, None
    if records:
        directory = data_dir(arguments.data_dir)
        spool, slot = take_slot(directory, shared=url is not None)
    settings = _settings(arguments, config, directory, spool, url)
    address = shown_address(host, listener.getsockname()[1])

    def announce(database: str) -> None:
        log.info(_ready_line(arguments, config, address, database))

    return Supervisor(settings, config, listener, slot).run(announce)


def _settings(
    arguments: argparse.Namespace,
    config: Config,
    directory: Path | None,
    spool: Path | None,
    url: DatabaseURL | None,
) -> Settings:
    return Settings(
        data_dir=str(directory or ""),
        spool_dir=str(spool or ""),
        log_format=arguments.log_format,
        debug=config.gateway.debug,
        workers=arguments.workers,
        records=directory is not None,
        embedded=url is None,
    )


def _ready_line(arguments: argparse.Namespace, config: Config, address: str, database: str) -> str:
    files = len(config.files)
    shown = f"{arguments.config_file} ({files} file{'' if files == 1 else 's'})"
    parts = [
        f"gateway {VERSION} listening on {address}",
        f"config {shown if arguments.config_file else 'default'}",
        f"database {database}",
    ]
    if config.gateway.base_path:
        parts.append(f"base path {config.gateway.base_path}")
    if arguments.workers > 1:
        parts.append(f"{arguments.workers} workers")
    return ", ".join(parts)


def _validate(arguments: argparse.Namespace, config: Config, url: DatabaseURL | None) -> str:
    """Start the database as serving would; a running gateway's embedded one is only asked."""
    from tensorzero.storage.database.connection_file import read_connection
    from tensorzero.storage.database.remote import RemoteDatabase

    directory = data_dir(arguments.data_dir)
    try:
        spool, slot = take_slot(directory, shared=url is not None, wait_s=0)
    except SlotTaken:
        running = read_connection(directory)
        if running is None:
            raise
        with RemoteDatabase(running) as database:
            database.query_json("SELECT 1")
        return f"embedded in {directory / 'database'}, open in a running gateway"
    settings = _settings(arguments, config, directory, spool, url)
    return Supervisor(settings, config, None, slot).validate()
