"""Log lines as events with fields: JSON in production, readable in development.

Every line bears the TrackID of what is being done. No payload and no secret is ever logged.
"""

import asyncio
import atexit
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.runtime.track import current_track_id as _track_id

LogFormat = Literal["json", "console"]

_LONGEST: Final = 2_000  # characters of one field
_LONGEST_WAY: Final = 20_000  # characters of an exception with its way
_AS_JSON: Final = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


def configure(*, service: str, log_format: LogFormat, level: str) -> None:
    """Set up structlog, and bring the libraries' own records into the same stream."""
    severity = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[_Stamp(service), structlog.processors.format_exc_info, *_written(log_format)],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=_one_pen(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(max(severity, logging.WARNING))


def _one_pen() -> Callable[..., "_Pen"]:
    """Have all loggers of the process share one pen, so that no line overtakes another."""
    pen = _Pen()
    return lambda *_: pen


class _Stamp:
    """Say when, where, how grave, and on whose behalf.

    One step instead of several: a busy worker writes thousands of lines a second.
    """

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
        track_id = _track_id()
        if track_id is not None:
            line.setdefault("track_id", track_id)
        line["service"] = self._service
        line["level"] = "error" if method == "exception" else method
        line["timestamp"] = datetime.now(UTC)
        return line


def _written(log_format: LogFormat) -> list[Processor]:
    if log_format == "json":
        return [_serialise]
    render = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    return [_clip, _local_time, render, _as_bytes]


def _as_bytes(_logger: WrappedLogger, _method: str, text: Any) -> bytes:
    return f"{text}\n".encode(errors="backslashreplace")


def _serialise(logger: WrappedLogger, method: str, line: EventDict) -> bytes:
    try:
        text = orjson.dumps(line, default=str, option=_AS_JSON)
    except TypeError:
        line = _in_words(line)
        text = orjson.dumps(line, option=_AS_JSON)
    if len(text) <= _LONGEST:  # then no field of it can be too long
        return text
    return orjson.dumps(_clip(logger, method, line), default=str, option=_AS_JSON)


def _in_words(line: EventDict) -> EventDict:
    """Say in plain words what JSON cannot hold: a line must never break what it tells of."""
    return {_plain(name): _plain(value) for name, value in line.items()}


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | float | datetime):
        return value
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  whatever it is, it is not ours
        text = f"<{type(value).__name__}>"
    return text.encode(errors="backslashreplace").decode()


def _clip(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Cut over-long text and mark the cut: text from outside is as long as it likes."""
    for name, value in line.items():
        if not isinstance(value, str) or len(value) <= _LONGEST:
            continue
        if name != "exception":
            line[name] = value[:_LONGEST] + "…"
        elif len(value) > _LONGEST_WAY:  # both its ends say something
            line[name] = f"{value[:_LONGEST]}\n…\n{value[_LONGEST - _LONGEST_WAY :]}"
    return line


def _local_time(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    line["timestamp"] = line["timestamp"].astimezone().strftime("%H:%M:%S.%f")[:-3]
    return line


class _Pen:
    """Write finished lines to standard output: those of one turn of the loop with one call.

    A line is kept back for no longer than that; a grave one takes all before it along at once.
    What nobody reads any more is lost, and breaks nothing.
    """

    def __init__(self, *_: Any) -> None:
        self._file = sys.stdout.fileno()
        self._lines: list[bytes] = []
        atexit.register(self._write)

    def msg(self, line: bytes) -> None:
        self._lines.append(line)
        if len(self._lines) == 1:
            self._write_soon()

    log = debug = info = warning = msg

    def error(self, line: bytes) -> None:
        self._lines.append(line)
        self._write()

    critical = exception = error

    def _write_soon(self) -> None:
        try:
            asyncio.get_running_loop().call_soon(self._write)
        except RuntimeError:  # no loop runs in this thread
            self._write()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        rest = memoryview(b"".join(lines))
        with suppress(OSError):
            while rest:
                rest = rest[os.write(self._file, rest) :]


class _Bridge(logging.Handler):
    """Hand what libraries log to structlog, so that it has the same form and TrackID."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        try:
            log.log(
                record.levelno,
                "library",
                library=record.name,
                text=record.getMessage(),
                exc_info=record.exc_info or None,
            )
        except Exception:  # noqa: BLE001  a log line must never break what it tells of
            self.handleError(record)
