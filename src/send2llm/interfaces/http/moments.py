"""Times in queries."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:")
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")
"""Where a plus sign was read as a blank, as it is in a URL."""


def _as_it_was_meant(value: object) -> object:
    """Numbers, which pydantic would take for seconds since 1970, are no times here."""
    if not isinstance(value, str) or not _DATE_AND_TIME.match(value):
        raise ValueError("a time is a date and a time of day with an offset, such as 2026-11-23T12:00:00Z")
    return _LOST_PLUS.sub("+", value) if len(value) > len("2026-11-23 12:00") else value


Rfc3339 = Annotated[AwareDatetime, BeforeValidator(_as_it_was_meant)]
"""A moment with its offset from UTC."""
