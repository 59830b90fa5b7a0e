"""A log event as a line of bytes."""

from collections.abc import Iterator
from typing import Any

import orjson
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from send2llm.infrastructure.telemetry.masking import SecretMask, without_quoted_data

_LONGEST_MESSAGE = 2000
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_PASSTHROUGH_DATACLASS
_LARGEST_NUMBER = 2**63

_WITHHELD = orjson.dumps(
    {"event": "log_line_withheld", "level": "error", "hint": "a secret could not be cut out of it"}
)

# Local variables hold prompts and keys, so they are never shown.
_transform = ExceptionDictTransformer(show_locals=False, max_frames=30)


def structured_exception(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """An exception and its causes as data: types, messages, places in the code; no local variables."""
    return _checked(_transform(exc_info))


def exception_text(exc_info: ExcInfo) -> str:
    """An exception, its causes and the members of a group as text for people, with the places in the code."""
    return "\n".join(_text_lines(structured_exception(exc_info), indent="  "))


def _text_lines(stacks: list[dict[str, Any]], indent: str) -> Iterator[str]:
    for stack in reversed(stacks):
        for frame in stack["frames"]:
            yield f'{indent}File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}'
        yield f"{indent[2:]}{stack['exc_type']}: {stack['exc_value']}"
        for member in stack.get("exceptions", ()):
            yield from _text_lines(member, indent + "  ")


def _checked(stacks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for stack in stacks:
        stack["exc_value"] = without_quoted_data(stack["exc_value"])[:_LONGEST_MESSAGE]
        stack["exc_notes"] = [without_quoted_data(note)[:_LONGEST_MESSAGE] for note in stack["exc_notes"]]
        for member in stack.get("exceptions", ()):
            _checked(member)
    return stacks


class JsonLines:
    """The structlog renderer for programs: JSON, whatever the event holds."""

    def __init__(self, mask: SecretMask) -> None:
        self._mask = mask

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
        try:
            line = orjson.dumps(event, option=_OPTIONS)
        except (orjson.JSONEncodeError, RecursionError):
            line = orjson.dumps(_encodable(event), option=_OPTIONS)
        masked = self._mask(line)
        return masked if masked is line or _is_json(masked) else _WITHHELD


class ConsoleLines:
    """The structlog renderer for people: aligned, and coloured on a terminal."""

    def __init__(self, mask: SecretMask, *, colors: bool) -> None:
        self._mask = mask
        self._render = ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        for name, value in event.items():
            if not isinstance(value, str | int | float | None):
                event[name] = str(value)
        return self._mask(self._render(logger, method, event).encode("utf-8", "backslashreplace"))


def _is_json(line: bytes) -> bool:
    """A known secret may look like a part of JSON (``1234``, ``null``); masking it breaks the line then."""
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def unrenderable(error: Exception, logger: str) -> bytes:
    """The line that stands for one which could not be rendered."""
    return orjson.dumps({"event": "log_line_lost", "level": "error", "logger": logger, "error": type(error).__name__})


def _encodable(value: Any) -> Any:
    """What orjson refuses, spelled so that it does not: huge numbers, lone surrogates."""
    if isinstance(value, dict):
        return {_encodable(str(name)): _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not -_LARGEST_NUMBER <= value < _LARGEST_NUMBER:
        return hex(value)  # str() refuses numbers of more than 4300 digits
    return value
