"""Holds that were written off whole because nobody knew how their attempts ended, and what they really cost."""

from collections.abc import Iterable

from send2llm.application.money_audit.accounts import AllowanceAccount, Hold
from send2llm.application.money_audit.findings import Findings, Place


def assume(findings: Findings, place: Place, allowance: AllowanceAccount, assumed: Iterable[str]) -> None:
    """Which holds were written off: those, and only those, whose end was not known when they were counted."""
    for hold_id in assumed:
        hold = allowance.holds.get(hold_id)
        if hold is None:
            findings.differ(place, f"{hold_id} is written off, and was not held")
            continue
        hold.assumed = True
        ended, closed = hold.attempt.ended, allowance.closed
        if hold.attempt.outcome_known and ended is not None and closed is not None and ended < closed:
            what = f"{hold_id} is written off, and its cost was known"
            findings.differ(place, what, hold.cost, hold.amount)
    for hold_id, hold in allowance.holds.items():
        if not hold.assumed and not hold.attempt.outcome_known:
            findings.differ(place, f"the end of {hold_id} is not known, and it is not written off")
            hold.assumed = True


def tell_known_later(findings: Findings, place: Place, part: Hold) -> None:
    """Once both are known, that a hold was written off whole and what its attempt really cost."""
    attempt, period = part.attempt, part.allowance.period
    if not (part.assumed and attempt.final) or part.told:
        return
    part.told = True
    if part.cost != part.amount:
        findings.became_known(place, attempt.hold_id, period.id, part.amount, part.cost)
        period.later += max(0, part.amount - part.cost)
    if part.cost > part.amount:
        period.late_overruns[attempt.hold_id] = part.cost - part.amount
