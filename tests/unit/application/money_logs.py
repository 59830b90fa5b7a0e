"""A right log about money to begin with, and what an audit says of any."""

from dataclasses import replace
from decimal import Decimal

from send2llm.application.money_audit import MoneyAudit, MoneyLedger
from send2llm.domain.allowance_events import AllowanceClosed
from send2llm.domain.provider_budget_events import AllowanceLapsed, PeriodClosed
from send2llm.domain.routing import PaidBy
from send2llm.infrastructure.event_store.streams import BudgetStreams
from send2llm.testing.budget_stories import BUDGET, NOVEMBER, granted, hold, lapsed, opened, settled, usd
from send2llm.testing.conversation_stories import answered, asked, interrupted
from send2llm.testing.money_log import MoneyLog, defined

PAYS = (PaidBy(BUDGET, NOVEMBER.key),)
ZERO = Decimal(0)


def paid(number: int, amount: str = "1", **more: object):
    """A call that the budget holds so much for."""
    return asked(number, hold_usd=usd(amount), paid_by=PAYS, **more)


def costs(number: int, cost: str, **more: object):
    """Its answer."""
    return answered("Hello", number, cost_usd=usd(cost), **more)


def gone(number: int, cost: str = "1", attempts: int = 1):
    """Its process is gone, and somebody has written it off."""
    return replace(interrupted(number, "process_gone"), cost_usd=usd(cost), attempts=attempts)


def written_off(*holds: int, spent: str = "0", assumed: str, returned: str, number: int = 1) -> AllowanceLapsed:
    """Somebody has counted the holds of these calls whole."""
    ids = tuple(hold(one).hold_id for one in holds)
    return replace(lapsed(number, spent, assumed=assumed, returned=returned), assumed_holds=ids)


def period_closed(settled_usd: str, **more: Decimal) -> PeriodClosed:
    zero = dict.fromkeys(("carried_over_usd", "assumed_usd", "overrun_usd", "carried_forward_usd"), ZERO)
    return PeriodClosed(**{"limit_usd": usd("10"), **zero, "settled_usd": usd(settled_usd), **more})


TAKEN_AWAY = AllowanceClosed(reason="lapsed")

RIGHT = MoneyLog(
    defined=defined(),
    opened=opened(),
    lent=granted(1, "4"),
    asked=paid(1),
    held=hold(1),
    answered=costs(1, "0.25"),
    asked_again=paid(2),
    held_again=hold(2),
    answered_again=costs(2, "0.5"),
    settled=settled(1, "0.75", returned="3.25"),
    closed=period_closed("0.75"),
)
"""Two calls, an allowance that was settled, and books that were closed."""

CRASHED = MoneyLog(
    defined=defined(),
    opened=opened(),
    lent=granted(1, "4"),
    asked=paid(1),
    held=hold(1),
    answered=costs(1, "0.25"),
    asked_again=paid(2),
    held_again=hold(2),
    taken_away=TAKEN_AWAY,
    lapsed=written_off(2, spent="0.25", assumed="1", returned="2.75"),
    gone=gone(2),
    closed=period_closed("1.25", assumed_usd=usd("1")),
)
"""A process answered one call and died in another; somebody settled for it."""


def audited(log: MoneyLog) -> MoneyAudit:
    ledger = MoneyLedger(BudgetStreams())
    for recorded in log.recorded():
        ledger.fold(recorded)
    return ledger.result()
