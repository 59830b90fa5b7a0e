"""Times in queries."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

from send2llm.domain.errors import InvalidRequest

LONGEST_NUMBER = 20  # digits

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


def number_or_time(at: str, what: str) -> int | datetime:
    """``at``: a number of ``what``, or an RFC 3339 time with its offset; raises ``InvalidRequest``."""
    if at.isascii() and at.isdigit() and len(at) <= LONGEST_NUMBER:
        return int(at)
    try:
        moment = datetime.fromisoformat(at.replace(" ", "+"))  # a plus sign in a query string means a space
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidRequest(f"at is a {what}, such as 5, or a time, such as 2026-11-23T12:00:00Z.", param="at")
    return moment
