"""A right log about money to begin with, and what an audit says of any."""

from dataclasses import replace

from house import PriceList

from send2llm.application.money_audit import MoneyAudit, MoneyLedger
from send2llm.domain.allowance_events import AllowanceClosed
from send2llm.domain.provider_budget_events import AllowanceLapsed
from send2llm.infrastructure.event_store.streams import BudgetStreams
from send2llm.testing.budget_stories import granted, hold, lapsed, opened, usd
from send2llm.testing.conversation_stories import interrupted
from send2llm.testing.money_log import MoneyLog, costs, defined, paid, period_closed


def gone(number: int, cost: str = "1", attempts: int = 1):
    """Its process is gone, and somebody has written it off."""
    return replace(interrupted(number, "process_gone"), cost_usd=usd(cost), attempts=attempts)


def written_off(*holds: int, spent: str = "0", assumed: str, returned: str, number: int = 1) -> AllowanceLapsed:
    """Somebody has counted the holds of these calls whole."""
    ids = tuple(hold(one).hold_id for one in holds)
    return replace(lapsed(number, spent, assumed=assumed, returned=returned), assumed_holds=ids)


TAKEN_AWAY = AllowanceClosed(reason="lapsed")

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
    ledger = MoneyLedger(BudgetStreams(), PriceList())
    for recorded in log.recorded():
        ledger.fold(recorded)
    return ledger.result()
