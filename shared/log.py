"""Logs as JSON lines on standard error; never a row's content, a name out of a file, or a secret.

The text of an exception may quote any of these ("could not convert string to float: …"). So a line has where it was
raised and its type, and of its words only those that cannot: a code, a number of an error (docs/decisions/0025).
"""

import errno
import logging
import os
import sys
import threading
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson
import structlog

from shared.errors import EtudeError

Event = MutableMapping[str, Any]  # Any: structlog's own event dictionary
# More of a chain of causes tells nobody more.
CAUSES_AT_MOST = 5
STANDARD_ERROR = 2

_is_told = False


def configure(level: str) -> None:
    """Send our own lines, the libraries', warnings and what nobody caught through one formatter."""
    global _is_told
    _is_told = level in ("debug", "info")
    shared: list[Any] = [  # Any: structlog's processors have no common type
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    renderer = structlog.processors.JSONRenderer(serializer=_dump)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=[_without_arguments, *shared])
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    sys.excepthook = _tell_uncaught
    threading.excepthook = lambda given: _tell_uncaught(given.exc_type, given.exc_value, given.exc_traceback)


def logger(name: str) -> Any:  # Any: structlog's bound logger has no public type
    """A logger whose lines carry the name of the module."""
    return structlog.get_logger(module=name)


def tell(module: str, event: str, **said: Any) -> None:  # Any: whatever JSON holds
    """A line at the level info, for what is told at every request: at a tenth of what a logger's takes."""
    if _is_told:
        line = {"module": module, **said, "event": event, "level": "info", "timestamp": datetime.now(UTC)}
        os.write(STANDARD_ERROR, orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))


def describe(error: BaseException) -> str:
    """The type of an error, and of its words what cannot quote anybody's data: a code, an errno, an SQLSTATE."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {errno.errorcode.get(error.errno, error.errno)}"
    code = error.code if isinstance(error, EtudeError) else getattr(getattr(error, "orig", None), "sqlstate", None)
    return name if code is None else f"{name}: {code}"


def _tell_uncaught(kind: type[BaseException], error: BaseException | None, _: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logger("process").critical("uncaught", exc_info=error if error is not None else kind())


def _add_trace(_: Any, __: str, event: Event) -> Event:  # Any: structlog's logger
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else sys.exception() if given is True else given
    if isinstance(error, BaseException):
        event["exception"] = _trace(error)
    return event


def _trace(error: BaseException) -> str:
    told: list[str] = []
    current: BaseException | None = error
    while current is not None and len(told) < CAUSES_AT_MOST:
        frames = traceback.format_tb(current.__traceback__)
        told.append("".join([*frames, describe(current)]))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\ncaused by:\n".join(told)


def _without_arguments(_: Any, __: str, event: Event) -> Event:  # Any: structlog's logger
    """Of a library's line about an error only its own words: the arguments quote the error's."""
    record = event.get("_record")
    if record is None or (record.levelno < logging.ERROR and not record.exc_info):
        return event
    return {**event, "event": str(record.msg), "module": record.name}


def _dump(value: Any, **_: Any) -> str:  # Any: whatever a line carries
    return orjson.dumps(value, default=str).decode()
