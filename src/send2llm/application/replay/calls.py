"""Calls as a replay sees them: what they cost, and nothing that anybody said."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

from send2llm.domain.completion import Usage
from send2llm.domain.errors import InvalidRequest


class Call(NamedTuple):
    """A call that has ended.

    ``day`` is that of ``requested_at``, in UTC. ``cost_usd`` is what all its attempts cost, ``None`` when no price was
    known, ``failed_attempts_usd`` what of it failed ones did. ``usage``, ``price_version`` and ``assumed`` are about
    the last attempt; ``assumed`` says what of its cost was not known, and then that does not follow from ``usage``.
    ``hold_usd`` is what budgets set aside. Calls with the same ``digest`` asked exactly the same of the same model.
    """

    day: str
    requested_at: datetime
    ended_at: datetime
    tenant: str
    actor: str
    provider: str
    model: str
    status: str
    usage: Usage | None
    cost_usd: Decimal | None
    failed_attempts_usd: Decimal
    hold_usd: Decimal | None
    assumed: str
    price_version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls are looked at; what is ``None`` does not matter. ``until`` is not included."""

    provider: str | None = None
    model: str | None = None
    tenant: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


GROUPS = ("day", "provider", "model", "tenant", "actor")
"""What results can be told by."""

Key = Callable[[Call], tuple[str, ...]]


def grouping(by: Collection[str]) -> Key:
    """The group of a call; raises ``InvalidRequest`` for what is none of ``GROUPS``."""
    for name in by:
        if name not in GROUPS:
            raise InvalidRequest(f"by: {name[:40]!r} is not one of {', '.join(GROUPS)}.", param="by")
    if not by:
        return lambda _call: ()
    get: Callable[[Call], Any] = attrgetter(*by)
    return get if len(by) > 1 else lambda call: (get(call),)
