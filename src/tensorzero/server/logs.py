"""Logs on standard output: pretty lines for people, JSON lines for machines."""

from __future__ import annotations

import logging
import os
import sys
import time

import orjson

LEVELS = {"trace": 10, "debug": 10, "info": 20, "warn": 30, "error": 40, "off": 60}


class PrettyFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = _timestamp(record)
        text = f"{stamp} {_level(record):>5} {record.name}: {record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {"message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        line = {
            "timestamp": _timestamp(record),
            "level": _level(record),
            "fields": fields,
            "target": record.name,
        }
        return orjson.dumps(line).decode()


def _timestamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _level(record: logging.LogRecord) -> str:
    return "WARN" if record.levelno == logging.WARNING else record.levelname


def set_up_logs(log_format: str, *, debug: bool = False) -> None:
    """``RUST_LOG`` (a simple level) wins over ``debug``; libraries log from warnings on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if log_format == "json" else PrettyFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    chosen = os.environ.get("RUST_LOG", "").lower()
    own = LEVELS.get(chosen, logging.DEBUG if debug else logging.INFO)
    root.setLevel(max(own, logging.WARNING))
    logging.getLogger("tensorzero").setLevel(own)
