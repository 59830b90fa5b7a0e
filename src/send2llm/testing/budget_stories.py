"""The vocabulary of tests about budgets: given what happened in a period, when a command, then these events.

::

    given(opened("10"), granted(1, "4")).when(lambda it: it.settle(allowance(1), usd("3"))).then(
        settled(1, "3", returned="1")
    )

Allowances are numbered, amounts are US dollars as text. Whatever a test does not say has some fixed value.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.budget_period import Period, Recurrence
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_scope import BudgetScope
from send2llm.domain.errors import Send2LLMError
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.domain.provider_budget_events import (
    AllowanceGranted,
    AllowanceLapsed,
    AllowanceRenewed,
    AllowanceSettled,
    OverrunRecorded,
    PeriodOpened,
    ProviderBudgetEvent,
)

BUDGET = UUID("00000000-0000-7000-8000-00000000b0d6")
"""The budget that a story is about."""

SCOPE = BudgetScope("openai")
NOVEMBER = Period("2026-11", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EXPIRY = NOON + timedelta(minutes=15)
HOLDER = "host-1-abc"
usd = Decimal


def allowance(number: int = 1) -> UUID:
    """The id of an allowance."""
    return UUID(int=0x0000_0000_0000_7000_8000_0000_0000_0000 + number)


def plan(limit: str = "10", **terms: Any) -> BudgetPlan:
    """A monthly budget for one provider, without thresholds; ``terms`` are those of ``BudgetPlan.define``."""
    terms = {"scope": SCOPE, "recurrence": Recurrence("month"), "thresholds": (), **terms}
    return BudgetPlan.define(BUDGET, limit=usd(limit), **terms)


def opened(limit: str = "10", carried_over: str = "0", **terms: Any) -> PeriodOpened:
    """The period began; ``terms`` are ``carry_over`` and ``thresholds``."""
    terms = {"carry_over": False, "thresholds": (), **terms}
    return PeriodOpened(
        budget_id=BUDGET,
        scope=SCOPE,
        period=NOVEMBER,
        limit_usd=usd(limit),
        carried_over_usd=usd(carried_over),
        **terms,
    )


def granted(number: int, amount: str, holder: str = HOLDER) -> AllowanceGranted:
    """An allowance was lent."""
    return AllowanceGranted(allowance_id=allowance(number), holder=holder, amount_usd=usd(amount), expires_at=EXPIRY)


def settled(number: int, spent: str, *, returned: str = "0") -> AllowanceSettled:
    """Its holder has settled an allowance."""
    return AllowanceSettled(allowance_id=allowance(number), spent_usd=usd(spent), returned_usd=usd(returned))


def lapsed(number: int, spent: str, *, assumed: str = "0", returned: str = "0") -> AllowanceLapsed:
    """Somebody else has settled an allowance."""
    return AllowanceLapsed(
        allowance_id=allowance(number),
        spent_usd=usd(spent),
        assumed_usd=usd(assumed),
        returned_usd=usd(returned),
    )


def renewed(number: int, amount: str, expires_at: datetime = EXPIRY) -> AllowanceRenewed:
    """Its holder keeps a part of an allowance."""
    return AllowanceRenewed(allowance_id=allowance(number), amount_usd=usd(amount), expires_at=expires_at)


def overrun(number: int, amount: str, hold_id: str | None = None) -> OverrunRecorded:
    """A provider billed more than it could have."""
    return OverrunRecorded(allowance_id=allowance(number), amount_usd=usd(amount), hold_id=hold_id)


def hold(number: int = 1, amount: str = "1", attempt: int = 1) -> HoldTaken:
    """An attempt of a numbered completion holds an amount."""
    return HoldTaken(
        budget_id=BUDGET,
        period_key=NOVEMBER.key,
        conversation_id=UUID("00000000-0000-7000-8000-00000000c0de"),
        completion_id=UUID(int=0x0000_0000_0000_7000_8000_0000_0000_0000 + number),
        attempt=attempt,
        amount_usd=usd(amount),
    )


def ask(
    number: int, wanted: str, minimum: str | None = None, holder: str = HOLDER
) -> Callable[[ProviderBudget], Decimal]:
    """The command to grant an allowance; without a ``minimum``, of all that is ``wanted`` or nothing."""
    return lambda budget: budget.grant(
        allowance(number),
        holder=holder,
        wanted=usd(wanted),
        minimum=usd(wanted if minimum is None else minimum),
        expires_at=EXPIRY,
    )


def given(*events: ProviderBudgetEvent) -> "Given":
    """What happened before."""
    return Given(events)


class Given:
    """A period in the state that a story begins with."""

    def __init__(self, events: Sequence[ProviderBudgetEvent]) -> None:
        self._events = events

    def when(self, *commands: Callable[[ProviderBudget], object]) -> "When":
        """Commands that are then given, one after the other."""
        return When(ProviderBudget.fold(BUDGET, NOVEMBER.key, self._events), commands)


class When:
    """A period, and the commands that it is given."""

    def __init__(self, budget: ProviderBudget, commands: Sequence[Callable[[ProviderBudget], object]]) -> None:
        self._budget = budget
        self._commands = commands

    def then(self, *expected: ProviderBudgetEvent) -> ProviderBudget:
        """Expect exactly these new events, and return the budget."""
        version = self._budget.version
        for command in self._commands:
            command(self._budget)
        before, events = self._budget.collect()
        if (before, tuple(events)) != (version, expected):
            raise AssertionError(f"expected {expected} after version {version}, got {events} after {before}")
        return self._budget

    def then_refused(self, error: type[Send2LLMError]) -> Send2LLMError:
        """Expect that the last command is refused and changes nothing; return the error."""
        *first, last = self._commands
        for command in first:
            command(self._budget)
        before = state(self._budget)
        try:
            last(self._budget)
        except error as refusal:
            if state(self._budget) != before:
                raise AssertionError(f"{refusal!r} was raised, but the budget has changed") from refusal
            return refusal
        raise AssertionError(f"expected {error.__name__}, but nothing was refused")


def state(budget: ProviderBudget) -> tuple[object, ...]:
    """All that can be asked of a budget, to compare two."""
    return (
        budget.version,
        budget.period,
        budget.scope,
        budget.balance,
        dict(budget.outstanding),
        budget.thresholds_reached,
        budget.exhausted,
        budget.refused,
        budget.closed,
        budget.carried_forward,
    )
