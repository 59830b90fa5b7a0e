"""The double entry: what conversations say was spent, and what budgets say was settled, agree to the last unit.

Both sides are folded from the events alone, in the order of the log. No projection is asked, and no sum in an event is
believed: each is compared with a sum of the audit's own. What is kept on the way is what is open: calls that run,
allowances that are lent, periods whose books are open. So an audit needs no more memory for a longer log.
"""

from send2llm.application.money_audit.audit import AuditMoney, Progress
from send2llm.application.money_audit.ledger import MoneyLedger, StreamNames
from send2llm.application.money_audit.prices import PriceVersions
from send2llm.application.money_audit.result import (
    ClosedPeriods,
    Difference,
    KnownLater,
    MoneyAudit,
    Overrun,
    PeriodTotals,
)

__all__ = [
    "AuditMoney",
    "ClosedPeriods",
    "Difference",
    "KnownLater",
    "MoneyAudit",
    "MoneyLedger",
    "Overrun",
    "PeriodTotals",
    "PriceVersions",
    "Progress",
    "StreamNames",
]
