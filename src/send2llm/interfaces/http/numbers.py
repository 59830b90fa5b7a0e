"""Numbers in bodies: read to the last digit, and from nothing that is none in JSON."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_PLAIN = re.compile(r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)")


def _exact(value: object) -> object:
    """A number of JSON is read as a binary float; its shortest spelling is what was written."""
    if isinstance(value, float):
        return str(value)
    if isinstance(value, bool) or (isinstance(value, str) and not _PLAIN.fullmatch(value)):
        raise ValueError("a number is written in plain decimal digits, such as 12.50")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("a whole number is needed")  # which 50.0 is, to JSON
    return value


def _shown(number: dict[str, Any], pattern: str, description: str) -> WithJsonSchema:
    text = {"type": "string", "pattern": pattern}
    return WithJsonSchema({"anyOf": [{"type": "number", **number}, text], "description": description})


Usd = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(allow_inf_nan=False, max_digits=30),
    _shown(
        {"exclusiveMinimum": 0, "maximum": 1e15},
        r"^[0-9]{1,15}(\.[0-9]{1,12})?$",
        "US dollars; more than 0, and at most 12 decimal places.",
    ),
]
"""An amount; the domain says which are possible."""

Score = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=-1, le=1, max_digits=20, decimal_places=18),  # a database holds no endless fraction
    _shown({"minimum": -1, "maximum": 1}, r"^-?[01](\.[0-9]{1,18})?$", "From -1 (bad) to 1 (good)."),
]

Percent = Annotated[int, BeforeValidator(_number), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100})]
"""A threshold; the domain says which are possible."""
