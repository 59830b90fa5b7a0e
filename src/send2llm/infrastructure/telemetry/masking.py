"""The last line of defence against secrets and private text in logs.

Code that logs is expected to know better; this catches what slips through, in two steps. ``plain_event``
looks at the names and types of fields before a line is rendered. ``SecretMask`` looks at the finished line,
whatever part of it a secret came in by: a field, a message, an exception, another library's line.
"""

import os
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final
from uuid import UUID

import orjson
from structlog.typing import EventDict, WrappedLogger

MASKED: Final = "[masked]"

_SECRET_NAMES: Final = frozenset(
    {
        "api_key", "apikey", "auth", "authorization", "cookie", "cookies", "credential", "credentials", "key",
        "passwd", "password", "pwd", "secret", "set_cookie", "token", "x_api_key",
    }
)  # fmt: skip
_SECRET_ENDINGS: Final = ("_api_key", "_apikey", "_authorization", "_password", "_secret", "_token")
_TEXT_NAMES: Final = frozenset(
    {
        "answer", "answers", "arguments", "body", "completion", "content", "contents", "delta", "headers",
        "input", "instructions", "message", "messages", "output", "partial_text", "prompt", "prompts",
        "system", "text",
    }
)  # fmt: skip

_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None), UUID, datetime})
_SHORTEST_SECRET: Final = 4
_DEEPEST: Final = 10
"""Collections inside collections are followed so far; it also ends those that contain themselves."""

_QUOTED_DATA: Final = re.compile(
    r"(?<=input_value=).*?(?=, input_type=|\Z)"  # pydantic quotes the input that it refuses
    r"|(?<=Failing row contains ).*"  # PostgreSQL quotes the row that breaks a constraint
    r"|(?<=\[parameters: ).*",  # SQLAlchemy quotes the parameters of the statement that failed
    re.DOTALL,
)


def plain_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: leaves plain values only, and masks those whose name says that they are private.

    An object is never shown by its ``repr``, which may hold anything; it becomes the name of its type.
    """
    for name, value in event.items():
        if _is_private(name, value):
            event[name] = MASKED
        elif type(value) not in _AS_THEY_ARE:
            event[name] = _plain(value, _DEEPEST)
    return event


def without_quoted_data(message: str) -> str:
    """An error's message without the data that libraries are known to quote in theirs."""
    return _QUOTED_DATA.sub(MASKED, message)


def safe_message(error: BaseException) -> str:
    """The message of an exception as it may be logged; never raises."""
    try:
        return without_quoted_data(str(error))
    except Exception:  # noqa: BLE001 - a broken __str__ must not break the log
        return "(its message cannot be shown)"


def _is_private(name: str, value: object) -> bool:
    if value is None or value is True or value is False:
        return False
    kind = _kind(name)
    return kind == "secret" or (kind == "text" and not isinstance(value, int | float))


@lru_cache(maxsize=2048)
def _kind(name: str) -> str | None:
    normalised = name.lower().replace("-", "_")
    if normalised in _SECRET_NAMES or normalised.endswith(_SECRET_ENDINGS):
        return "secret"
    return "text" if normalised in _TEXT_NAMES else None


def _plain(value: object, depth: int) -> object:
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, dict | list | tuple | set | frozenset):
        if depth == 0:
            return "[too deep]"
        if isinstance(value, dict):
            return {
                name: MASKED if _is_private(name, inner) else _plain(inner, depth - 1)
                for name, inner in ((_name(key), inner) for key, inner in value.items())
            }
        return [_plain(inner, depth - 1) for inner in value]
    return _described(value)


def _name(key: object) -> str:
    return key if type(key) is str else str(_described(key))


def _described(value: object) -> object:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str | int | float):  # a subclass of them
        return value
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {safe_message(value)}"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    kind = value if isinstance(value, type) else type(value)
    return f"<{kind.__module__}.{kind.__qualname__}>"


class SecretMask:
    """Masks secrets in a finished line: the ``known`` ones wherever they stand, others by their usual looks.

    ``known`` are the configured keys and passwords. Those of fewer than four characters are not looked for:
    they would mask half of every line, and protect nothing.
    """

    _PATTERNS: Final = (
        # What stands before a secret is kept, so that the line still tells what kind of secret it was.
        re.compile(
            rb"((?i:api[-_]?key|authorization|password|passwd|secret|access_token|refresh_token)"
            rb"(?:"
            rb"\":\""  # a field of the line itself; numbers and the like are part of its structure, and stay
            rb"|(?:\\\"|')?\s?(?:[:=]|%3[dD])\s?(?:\\\"|b?')?"  # name: value, name=value, quoted or not
            rb"|(?:\\\"|'),\s?(?:\\\"|b?')"  # ('name', 'value')
            rb"))(?!\[masked)(?:(?i:basic|bearer|digest|token)\s+)?[^\s\"'\\,;&)}\]]{4,}"
        ),
        re.compile(rb"((?i:bearer)(?:\s|%20|\\[nt])+)[A-Za-z0-9._~+/=-]{4,}"),
        re.compile(rb"()(?:sk-|gsk_|xai-|pplx-|hf_|AIza)[A-Za-z0-9_-]{12,}"),
        re.compile(rb"(://[^\s:/@\"]*:)[^\s@\"]+(?=@)"),
    )
    _SIGNS: Final = (
        b"sk-", b"gsk_", b"xai-", b"pplx-", b"hf_", b"aiza", b"bearer", b"://", b"key",
        b"authorization", b"passw", b"secret", b"access_token", b"refresh_token",
    )  # fmt: skip
    """One of these is in every line in which a pattern finds something; to look for them is much faster."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        written: set[bytes] = set()
        for secret in known:
            if len(secret) >= _SHORTEST_SECRET:
                raw = secret.encode("utf-8", "backslashreplace")
                written |= {raw, _as_in_json(secret, raw)}
        # The longest first: a shorter one may be a part of it.
        self._known = sorted(written, key=len, reverse=True)

    def __call__(self, line: bytes) -> bytes:
        """The line without the secrets; the very same object if there are none."""
        for secret in self._known:
            if secret in line:
                line = line.replace(secret, MASKED.encode())
        lowered = line.lower()
        for sign in self._SIGNS:
            if sign in lowered:
                for pattern in self._PATTERNS:
                    line = pattern.sub(rb"\1" + MASKED.encode(), line)
                break
        return line


def _as_in_json(secret: str, raw: bytes) -> bytes:
    try:
        return orjson.dumps(secret)[1:-1]
    except orjson.JSONEncodeError:  # lone surrogates: such a secret is written as it is in ``raw``
        return orjson.dumps(raw.decode())[1:-1]
