"""The budget plan: the standing definition of a budget, from which its periods are opened."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Self, get_args
from uuid import UUID

from send2llm.domain.aggregate import Aggregate
from send2llm.domain.budget_period import PeriodKind, Recurrence, time_zone
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined, BudgetPlanEvent, BudgetRetired
from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetScope
from send2llm.domain.errors import BudgetIsRetired, BudgetNotFound, InvalidRequest
from send2llm.domain.money import PICO_DOLLAR, ZERO
from send2llm.domain.pico_dollars import LARGEST, pico_dollars

DEFAULT_THRESHOLDS = (50, 80, 100)


class BudgetPlan(Aggregate[BudgetPlanEvent]):
    """What a budget is about and how much it allows, folded from its events.

    Scope and recurrence stay for ever, because periods are named by them: for others, retire the budget and
    define a new one. A new limit is meant for the running period too (``ProviderBudget.change_limit``);
    ``carry_over`` and ``thresholds`` count for periods that are opened from then on.
    """

    def __init__(self, budget_id: UUID) -> None:
        super().__init__()
        self.id = budget_id
        self.scope = WHOLE_SERVICE
        self.limit = ZERO
        """US dollars for each period."""
        self.recurrence = Recurrence("total")
        self.carry_over = False
        self.thresholds: tuple[int, ...] = ()
        self.retired = False

    @classmethod
    def define(
        cls,
        budget_id: UUID,
        *,
        scope: BudgetScope,
        limit: Decimal,
        recurrence: Recurrence,
        carry_over: bool = False,
        thresholds: Iterable[int] = DEFAULT_THRESHOLDS,
    ) -> Self:
        """Set up a budget; raises ``InvalidRequest``."""
        plan = cls(budget_id)
        scope.check()
        _check_recurrence(recurrence, carry_over)
        check_limit(limit)
        plan._record(
            BudgetDefined(
                scope=scope,
                limit_usd=limit,
                recurrence=recurrence,
                carry_over=carry_over,
                thresholds=_ascending(thresholds),
            )
        )
        return plan

    @classmethod
    def fold(cls, budget_id: UUID, events: Iterable[BudgetPlanEvent]) -> Self:
        """The state after ``events``; raises ``BudgetNotFound`` when there are none."""
        plan = cls(budget_id)
        plan.follow(events)
        if not plan.version:
            raise BudgetNotFound(budget_id)
        return plan

    def change(
        self,
        *,
        limit: Decimal | None = None,
        carry_over: bool | None = None,
        thresholds: Iterable[int] | None = None,
    ) -> None:
        """Change what is given; the same terms again change nothing. Raises ``InvalidRequest``."""
        if self.retired:
            raise BudgetIsRetired(self.id)
        changed = BudgetChanged(
            limit_usd=self.limit if limit is None else limit,
            carry_over=self.carry_over if carry_over is None else carry_over,
            thresholds=self.thresholds if thresholds is None else _ascending(thresholds),
        )
        check_limit(changed.limit_usd)
        _check_recurrence(self.recurrence, changed.carry_over)
        if changed != BudgetChanged(limit_usd=self.limit, carry_over=self.carry_over, thresholds=self.thresholds):
            self._record(changed)

    def retire(self, reason: str = "") -> None:
        """Limit nothing any more; retiring a retired budget changes nothing."""
        if not self.retired:
            self._record(BudgetRetired(reason=reason))

    def _apply(self, event: BudgetPlanEvent) -> None:
        match event:
            case BudgetDefined():
                self.scope, self.recurrence = event.scope, event.recurrence
                self._take_terms(event)
            case BudgetChanged():
                self._take_terms(event)
            case BudgetRetired():
                self.retired = True

    def _take_terms(self, terms: BudgetDefined | BudgetChanged) -> None:
        self.limit, self.carry_over, self.thresholds = terms.limit_usd, terms.carry_over, terms.thresholds


def check_limit(limit: Decimal) -> None:
    """Raise ``InvalidRequest`` unless ``limit`` is a positive amount of whole pico-dollars."""
    if not limit.is_finite() or not 0 < limit <= LARGEST:
        raise InvalidRequest(
            f"A limit is more than 0 and at most {LARGEST:f} USD; the smallest, {PICO_DOLLAR:f}, lets nothing through "
            "that costs anything.",
            param="limit_usd",
        )
    try:
        pico_dollars(limit)
    except ValueError as error:
        raise InvalidRequest(f"The limit cannot be used: {error}", param="limit_usd") from None


def _check_recurrence(recurrence: Recurrence, carry_over: bool) -> None:
    if recurrence.kind not in get_args(PeriodKind):
        raise InvalidRequest(
            f"There is no period {str(recurrence.kind)[:100]!r}; use one of {', '.join(get_args(PeriodKind))}.",
            param="period",
        )
    time_zone(recurrence.time_zone)
    if carry_over and recurrence.kind == "total":
        raise InvalidRequest("A total has no next period to carry anything over to.", param="carry_over")


def _ascending(thresholds: Iterable[int]) -> tuple[int, ...]:
    chosen = tuple(thresholds)
    for percent in chosen:
        if type(percent) is not int or not 1 <= percent <= 100:  # neither True nor 99.5
            raise InvalidRequest(
                f"A threshold is a whole percentage from 1 to 100, not {str(percent)[:100]!r}.", param="thresholds"
            )
    return tuple(sorted(set(chosen)))
