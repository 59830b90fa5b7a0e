"""Times, and other moments, in queries."""

import re
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import AwareDatetime, BeforeValidator

from send2llm.application.moments import Moment
from send2llm.bootstrap.service import Service
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


Number = Literal["position", "version"]

At = Annotated[
    str | None,
    Query(
        max_length=100,
        description="As it was then: a position of the log (`812` or `position:812`), or an RFC 3339 time.",
    ),
]


async def moment_of(service: Service, at: str | None) -> Moment | None:
    """The moment that ``at`` names, ``None`` for the present; raises ``InvalidRequest``."""
    if at is None:
        return None
    asked = read_at(at, "position")
    if isinstance(asked, datetime):
        return await service.moments.time(asked)
    return await service.moments.position(asked[1])


def shown_moment(moment: Moment | None) -> dict[str, object]:
    """Of when a report is; ``None`` is the present, which has no position, as it follows within moments."""
    return {"as_of": moment and moment.time, "position": moment and moment.position}


def read_at(at: str, *numbers: Number) -> tuple[Number, int] | datetime:
    """A number such as ``position:812``, or an RFC 3339 time with its offset; raises ``InvalidRequest``.

    ``numbers`` says which there may be; one without a name is one of the first kind.
    """
    named, _, digits = at.rpartition(":")
    if digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_NUMBER:
        for number in numbers:
            if named == number or (not named and at == digits and number == numbers[0]):
                return number, int(digits)
    try:
        moment = datetime.fromisoformat(at.replace(" ", "+"))  # a plus sign in a query string means a space
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        ways = [f"a {numbers[0]}, such as 5", *(f"a {number}, such as {number}:5" for number in numbers[1:])]
        raise InvalidRequest(f"at: Give {', '.join(ways)}, or a time, such as 2026-11-23T12:00:00Z.", param="at")
    return moment
