"""Sets up logging: one pipeline for our own lines and those of every library.

Our own code uses ``structlog.get_logger(name)``. It takes structlog's fast path: a class per level whose
methods below the level do nothing, loggers cached on first use, orjson, bytes straight to the stream.
Libraries (and our inner layers, which know no structlog) use ``logging``; their records run through the same
processors.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any, BinaryIO, Final, cast

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import BindableLogger, Context, EventDict, Processor, WrappedLogger

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.telemetry.masking import SecretMask, plain_event
from send2llm.infrastructure.telemetry.rendering import (
    ConsoleLines,
    JsonLines,
    exception_text,
    structured_exception,
    unrenderable,
)

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

QUIET: Final = {
    "uvicorn.access": "warning",
    "httpx": "warning",
    "alembic": "warning",
    "httpx2": "warning",
    "aiohttp.access": "warning",
}
"""Components that tell every request at ``info``; a call has its own line already."""

_OURS = "send2llm"
_HAVE_HANDLERS_OF_THEIR_OWN = ("uvicorn", "uvicorn.access", "uvicorn.error", "alembic", "eventsourcing")


def configure_logging(
    level: str = "info",
    json: bool | None = None,
    levels: Mapping[str, str] | None = None,
    *,
    secrets: Iterable[str] = (),
    stream: BinaryIO | None = None,
) -> None:
    """Send every log line to ``stream`` (standard error), as JSON or, without ``json``, for people.

    ``json=None`` is for people on a terminal and JSON anywhere else. ``levels`` gives components, named by the
    beginning of their loggers' names (``send2llm.calls``, ``uvicorn``), levels of their own; the longest name wins.
    ``debug`` for all is for Send2LLM alone: what libraries tell then (requests with their headers and bodies,
    statements with their parameters) has to be asked for by their names.

    ``secrets`` are values that must never be shown, wherever they turn up. To be called once, at start, after
    anything that sets up logging on its own (give uvicorn ``log_config=None``).
    Raises ``ConfigurationError`` for an unknown level.
    """
    output = stream or sys.stderr.buffer
    thresholds = _thresholds(level, {**QUIET, **(levels or {})})
    terminal = output.isatty()
    mask = SecretMask(secrets)
    for_programs = not terminal if json is None else json
    renderer: Processor = JsonLines(mask) if for_programs else ConsoleLines(mask, colors=terminal)
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(structured_exception if for_programs else exception_text),
    ]
    lock = Lock()
    structlog.configure(
        processors=[*common, plain_event, renderer],
        wrapper_class=_class_by_component(thresholds),
        logger_factory=lambda *names: LineLogger(output, lock, names[0] if names else _OURS),
        cache_logger_on_first_use=True,
    )
    _configure_standard_library(
        LibraryLines(LineLogger(output, lock, "logging"), common, renderer),
        thresholds,
    )


class LineLogger:
    """Where lines go. A stream that is closed or full loses them: no call fails because nobody reads its log.

    It does what ``structlog.BytesLogger`` does, which raises then.
    """

    __slots__ = ("_flush", "_lock", "_write", "name")

    def __init__(self, stream: BinaryIO, lock: Lock, name: str) -> None:
        self.name = name
        self._write = stream.write
        self._flush = stream.flush
        self._lock = lock

    def msg(self, line: bytes) -> None:
        """Write one line, whole: lines of several threads and processes do not mix."""
        try:
            with self._lock:
                self._write(line + b"\n")
                self._flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            return

    debug = info = warning = error = critical = msg


class LibraryLines(logging.Handler):
    """Takes the records of ``logging`` through the processors that our own lines go through."""

    def __init__(self, output: LineLogger, common: list[Processor], renderer: Processor) -> None:
        super().__init__()
        self._output = output
        self.setFormatter(
            ProcessorFormatter(
                foreign_pre_chain=[ExtraAdder(), *common],
                processors=[_without_metadata, plain_event, renderer, _decoded],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode()
        except Exception as error:  # noqa: BLE001 - logging's own report of it would quote the arguments
            line = unrenderable(error, record.name)
        self._output.msg(line)


def _without_metadata(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    del event["_record"], event["_from_structlog"]
    event.pop("color_message", None)  # uvicorn's second copy of its message
    return event


def _decoded(_logger: WrappedLogger, _method: str, line: Any) -> str:
    return cast("bytes", line).decode()


def _thresholds(level: str, levels: Mapping[str, str]) -> dict[str, int]:
    """The level of each component; ``""`` is all the rest."""
    thresholds = {"": max(logging.INFO, _number(level, "")), _OURS: _number(level, "")}
    return thresholds | {component: _number(name, component) for component, name in levels.items()}


def _number(level: str, component: str) -> int:
    if level.lower() not in LEVELS:
        place = f" for {component}" if component else ""
        raise ConfigurationError(f"There is no log level {level!r}{place}; choose one of {', '.join(LEVELS)}.")
    return LEVELS[level.lower()]


def _class_by_component(thresholds: Mapping[str, int]) -> type[BindableLogger]:
    """What structlog calls to wrap a logger: picks the class by the logger's name, once for each logger."""

    def wrap(logger: LineLogger, processors: Iterable[Processor], context: Context) -> BindableLogger:
        component = logger.name
        while component not in thresholds:
            component = component.rpartition(".")[0]
        wrapper = structlog.make_filtering_bound_logger(thresholds[component])
        return cast("Callable[..., BindableLogger]", wrapper)(logger, processors, context)

    return cast("type[BindableLogger]", wrap)  # structlog only ever calls it


def _configure_standard_library(handler: logging.Handler, thresholds: Mapping[str, int]) -> None:
    for component in _HAVE_HANDLERS_OF_THEIR_OWN:
        logger = logging.getLogger(component)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)  # whatever it was set to, the levels that are configured count
    for component, threshold in thresholds.items():
        logging.getLogger(component or None).setLevel(threshold)
    logging.getLogger().handlers[:] = [handler]
    logging.captureWarnings(True)
