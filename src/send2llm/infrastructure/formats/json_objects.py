"""JSON objects in texts, to be sent on as objects: only those that mean the same afterwards."""

import json
from typing import Any

import orjson

from send2llm.infrastructure.formats.fields import Body


def json_object(text: str) -> Body | None:
    """The object that ``text`` is, ``None`` if it is none, or one that would be written as something else.

    Such are numbers that no 64 bits hold, which would be cut or become null, halves of characters, names that come
    twice, and what is nested deeper than can be written.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_float, object_pairs_hook=_object)
        orjson.dumps(value)
    except (ValueError, TypeError, RecursionError):  # orjson raises a kind of TypeError
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def _object(pairs: list[tuple[str, Any]]) -> Body:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name comes twice")
    return made
