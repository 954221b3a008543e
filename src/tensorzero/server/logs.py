"""Logs on standard output: pretty lines for people, JSON lines for machines.

Level: ``RUST_LOG`` or ``TENSORZERO_LOG`` (a level, or directives such as
``tensorzero=debug,httpx=info``), else ``debug`` with ``gateway.debug = true``, else ``info``;
libraries log from warnings on unless a directive names them. Stack traces, which may hold a
request's content, appear at ``debug`` only; above it a line names the error and its place.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

import orjson

from tensorzero.api.request_span import current_span

LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 10,
}
VARIABLES = ("RUST_LOG", "TENSORZERO_LOG")
OWN = ("tensorzero", "tzcore")
OWN_TARGETS = frozenset({*OWN, "gateway", "tensorzero_core"})
"""Names by which users of the reference know what is ours."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def place_of(error: BaseException) -> str:
    """Where an error arose, as ``KeyError at tensorzero/gateway/infer.py:12``.

    Neither its text nor a trace: both may hold what a user sent.
    """
    name = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/tensorzero/" in frame.filename]
    if not frames:
        return name
    frame = (own or frames)[-1]
    file = frame.filename.replace("\\", "/")
    at = file.rfind("/tensorzero/")
    return f"{name} at {file[at + 1 :] if at >= 0 else os.path.basename(file)}:{frame.lineno}"


class PrettyFormatter(logging.Formatter):
    """``2026-01-31T12:00:00.000Z  INFO tensorzero: message``."""

    def __init__(self, *, traces: bool) -> None:
        super().__init__()
        self.traces = traces

    def format(self, record: logging.LogRecord) -> str:
        # One record is one line: what users sent cannot forge another.
        message = _CONTROL.sub(_escaped, record.getMessage())
        shown = "".join(f" {key}={value}" for key, value in _fields(record).items())
        span = current_span.get()
        where = f" request {span.request_id}" if span is not None else ""
        line = f"{_timestamp(record)} {_level(record):>5} {record.name}{where}: {message}{shown}"
        error = _error(record)
        if error is not None:
            line += f" ({place_of(error)})"
            if self.traces:
                line += "\n" + "".join(traceback.format_exception(error)).rstrip()
        return line


class JsonFormatter(logging.Formatter):
    """One object a line, in the shape of Rust's ``tracing``."""

    def __init__(self, *, traces: bool) -> None:
        super().__init__()
        self.traces = traces

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {"message": record.getMessage(), **_fields(record)}
        error = _error(record)
        if error is not None:
            fields["error"] = place_of(error)
            if self.traces:
                fields["trace"] = "".join(traceback.format_exception(error))
        line: dict[str, object] = {
            "timestamp": _timestamp(record),
            "level": _level(record),
            "fields": fields,
            "target": record.name,
        }
        span = current_span.get()
        if span is not None:
            shown = {**span.fields(), "name": "request"}
            line["span"] = shown
            line["spans"] = [shown]
        return orjson.dumps(line, default=str).decode()


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    """What a call gave as ``extra={"fields": {…}}``."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _timestamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _level(record: logging.LogRecord) -> str:
    return "WARN" if record.levelno == logging.WARNING else record.levelname


def parse_levels(text: str) -> tuple[int | None, dict[str, int], list[str]]:
    """``(level of everything, level by logger, directives not understood)``."""
    everything: int | None = None
    named: dict[str, int] = {}
    unknown: list[str] = []
    for directive in filter(None, (part.strip() for part in text.split(","))):
        target, _, level = directive.rpartition("=")
        number = LEVELS.get(level.strip().lower())
        target = target.strip()
        if number is None:
            unknown.append(directive)
        elif not target:
            everything = number
        elif target.split("::")[0] in OWN_TARGETS:
            named.update(dict.fromkeys(OWN, number))
        else:
            named[target.replace("::", ".")] = number
    return everything, named, unknown


def set_up_logs(
    log_format: str,
    *,
    debug: bool = False,
    environ: Mapping[str, str] = os.environ,
    stream: TextIO | None = None,
) -> list[str]:
    """Send all logs to ``stream`` (``None``: standard output); returns what is wrong with the
    level variables."""
    name = next((name for name in VARIABLES if environ.get(name)), VARIABLES[0])
    everything, named, unknown = parse_levels(environ.get(name, ""))
    own = everything if everything is not None else logging.DEBUG if debug else logging.INFO
    own = named.get(OWN[0], own)
    formatter = JsonFormatter if log_format == "json" else PrettyFormatter
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(formatter(traces=own <= logging.DEBUG))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries log requests, headers included, at debug: only a directive that names one does that.
    root.setLevel(max(own, logging.WARNING))
    for logger in OWN:
        logging.getLogger(logger).setLevel(own)
    for logger, level in named.items():
        logging.getLogger(logger).setLevel(level)
    # A reader that closed our output must not make every line print a trace.
    logging.raiseExceptions = False
    levels = "trace, debug, info, warn, error or off"
    return [f"{name}: `{part}` is not understood, expected {levels}" for part in unknown]
