"""Each way in which a log can be wrong is found, and named with the stream and the position of the event."""

from datetime import UTC, datetime

import pytest
from house import PRICE
from money_logs import CRASHED, audited

from send2llm.domain.budget_period import Period
from send2llm.domain.completion import Usage
from send2llm.domain.provider_budget_events import (
    BalanceCarriedOver,
    BudgetExhausted,
    LimitChanged,
    PeriodOpened,
    ThresholdReached,
)
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.event_store.streams import budget_stream
from send2llm.testing.budget_stories import (
    BUDGET,
    NOVEMBER,
    granted,
    hold,
    opened,
    overrun,
    renewed,
    settled,
    usd,
)
from send2llm.testing.conversation_stories import asked, attempt_failed
from send2llm.testing.money_log import RIGHT, costs, of_allowance, paid

OPEN = RIGHT.without("closed")
"""The same with its books open."""

CARRIED = RIGHT.changed("opened", carry_over=True).changed("closed", carried_forward_usd=usd("9.25"))
DECEMBER = Period("2026-12", NOVEMBER.end, datetime(2027, 1, 1, tzinfo=UTC))


def december(carried_over: str) -> PeriodOpened:
    return PeriodOpened(
        budget_id=BUDGET,
        scope=opened().scope,
        period=DECEMBER,
        limit_usd=usd("10"),
        carried_over_usd=usd(carried_over),
        carry_over=True,
        thresholds=(),
    )


def in_december(event: object) -> tuple[str, object]:
    return budget_stream(BUDGET, DECEMBER.key), event


BROKEN_OFF = attempt_failed(
    1, cost_usd=None, next_attempt=Attempt(2, "openai", "gpt-4o-mini", usd("1"), paid(1).paid_by)
)

WRONG = {
    # What settlements say, against what calls cost.
    "a settlement that is too low": (
        OPEN.changed("settled", spent_usd=usd("0.7"), returned_usd=usd("3.3")),
        ("settled", "what an allowance spent", "0.75", "0.7"),
    ),
    "a settlement that is too high": (
        OPEN.changed("settled", spent_usd=usd("0.8"), returned_usd=usd("3.2")),
        ("settled", "what an allowance spent", "0.75", "0.8"),
    ),
    "a settlement that lacks the smallest unit": (
        OPEN.changed("settled", spent_usd=usd("0.749999999999"), returned_usd=usd("3.250000000001")),
        ("settled", "what an allowance spent", "0.75", "0.749999999999"),
    ),
    "a settlement that is missing": (
        RIGHT.without("settled").changed("closed", settled_usd=usd("0")),
        ("closed", "books are closed and 1 allowances are lent", "4", "0"),
    ),
    "a settlement that comes twice": (
        OPEN.then(twice=settled(1, "0.75", returned="3.25")),
        ("twice", "about an allowance that is not lent: it was never granted, or has ended before", None, None),
    ),
    "a settlement of what was never lent": (
        OPEN.then(stray=settled(7, "0.75", returned="3.25")),
        ("stray", "about an allowance that is not lent: it was never granted, or has ended before", None, None),
    ),
    "a settlement while a call runs": (
        OPEN.without("answered_again").changed("settled", spent_usd=usd("0.25"), returned_usd=usd("3.75")),
        ("settled", f"an allowance is settled while {hold(2).hold_id} runs", "1", "0"),
    ),
    "a settlement that gives back too little": (
        OPEN.changed("settled", returned_usd=usd("3")),
        ("settled", "what comes back of an allowance", "3.25", "3"),
    ),
    # Holds and intents.
    "a hold without an intent": (
        OPEN.after("held_again", stray=hold(3)),
        ("stray", "a hold for an attempt that no running call intends", "0", "1"),
    ),
    "an intent without its hold": (
        OPEN.without("held_again"),
        ("asked_again", f"nothing is held of the budget {BUDGET}, 2026-11", "1", "0"),
    ),
    "an intent without its hold, of a call that runs": (
        OPEN.without("settled", "answered_again", "held_again"),
        ("asked_again", f"nothing is held of the budget {BUDGET}, 2026-11", "1", "0"),
    ),
    "a call that a budget covers and that nothing is held for": (
        OPEN.then(outside=asked(3), answer=costs(3, "0.1")),
        ("outside", f"nothing is held of the budget {BUDGET}, which covers the call", "0.1", "0"),
    ),
    "a hold of another amount than the intent says": (
        OPEN.changed("held", amount_usd=usd("0.5")),
        ("held", "what the intent says is held", "1", "0.5"),
    ),
    "a hold of another conversation": (
        OPEN.changed("held", conversation_id=BUDGET),
        ("held", "a hold for an attempt that no running call intends", "0", "1"),
    ),
    "a hold for a call that has ended": (
        OPEN.without("held").after("answered", held=hold(1)),
        ("held", "a hold for an attempt that no running call intends", "0", "1"),
    ),
    "a hold for an attempt that has ended": (
        OPEN.without("held", "answered").after("asked", failed=BROKEN_OFF, held=hold(1)),
        ("held", "a hold for an attempt that has ended", "0", "1"),
    ),
    "a hold that is taken twice": (
        OPEN.after("held", twice=hold(1)),
        ("twice", "a hold is taken twice", "0", "1"),
    ),
    "a hold of a period that did not lend": (
        OPEN.changed("held", period_key="2026-10"),
        ("held", "a hold of a budget that the intent does not name", "0", "1"),
    ),
    "a hold from an allowance that was never granted": (
        OPEN.without("held_again").after("asked_again", held_again=of_allowance(9, hold(2))),
        ("held_again", "a hold from an allowance that is not lent: it was never granted, or has ended", "0", "1"),
    ),
    "a hold from an allowance that was taken away": (
        CRASHED.after("taken_away", late=paid(3), held_late=hold(3), dear=costs(3, "0")),
        ("held_late", "a hold from an allowance that was closed", "0", "1"),
    ),
    "holds of more than was lent": (
        OPEN.changed("lent", amount_usd=usd("1.2")).changed("settled", returned_usd=usd("0.45")),
        ("held_again", "calls hold more than was lent", "1.2", "1.25"),
    ),
    # Outcomes.
    "an outcome that was changed": (
        OPEN.changed("answered", cost_usd=usd("0.2")),
        ("settled", "what an allowance spent", "0.7", "0.75"),
    ),
    "an outcome that comes twice": (
        OPEN.after("answered", twice=costs(1, "0.3")),
        ("twice", "the end of a call that was not asked for, or had ended", None, None),
    ),
    "an outcome that is not what its usage costs": (
        OPEN.changed("answered", reported_usage=Usage(10, 20), price_version=PRICE.version),
        ("answered", "a cost at its price", "0.00033", "0.25"),
    ),
    "an outcome of what nobody asked": (
        OPEN.then(stray=costs(7, "0.3")),
        ("stray", "the end of a call that was not asked for, or had ended", None, None),
    ),
    "an attempt that has no end, and one that is charged although it failed": (
        OPEN.after("held", failed=BROKEN_OFF, held_next=hold(1, attempt=2)),
        ("failed", "an attempt has no end, and its call has", None, None),
    ),
    "an attempt that is charged again": (
        OPEN.after("held", failed=BROKEN_OFF, held_next=hold(1, attempt=2)),
        ("answered", "an attempt that has failed is charged again", "0", "0.25"),
    ),
    "an attempt that was never begun and has a cost": (
        OPEN.changed("answered", attempts=2),
        ("answered", "an attempt that was not begun has a cost", "0", "0.25"),
    ),
    # Allowances.
    "an allowance beyond the limit": (
        OPEN.after("lent", more=granted(2, "6.1")),
        ("more", "more is lent than the limit leaves", "10", "10.1"),
    ),
    "an allowance beyond what is settled": (
        OPEN.after("settled", more=granted(2, "9.26")),
        ("more", "more is lent than the limit leaves", "9.25", "9.26"),
    ),
    "an allowance that is granted twice": (
        OPEN.after("lent", twice=granted(1, "4")),
        ("twice", "an allowance is granted twice", "0", "4"),
    ),
    "a renewal with more than is in it": (
        OPEN.after("held", renewed=renewed(1, "5")).changed("settled", returned_usd=usd("4.25")),
        ("renewed", "an allowance is renewed with more than is in it", "4", "5"),
    ),
    "a renewal with less than its calls hold": (
        OPEN.after("held_again", renewed=renewed(1, "1")).changed("settled", returned_usd=usd("0.25")),
        ("renewed", "an allowance keeps less than its calls hold", "1.25", "1"),
    ),
    "an overrun that did not happen": (
        OPEN.after("answered", over=overrun(1, "0.1", hold(1).hold_id)).changed("settled", returned_usd=usd("3.35")),
        ("over", "what a bill went beyond its hold", "0", "0.1"),
    ),
    "an overrun that was not recorded": (
        OPEN.changed("answered", cost_usd=usd("2")).changed("settled", spent_usd=usd("2.5"), returned_usd=usd("1.5")),
        ("settled", "bills went beyond holds, which was not recorded", "1", "0"),
    ),
    # What others settled.
    "an allowance that was taken away before it was closed": (
        CRASHED.without("taken_away"),
        ("lapsed", "an allowance is taken away that was not closed before", None, None),
    ),
    "a hold that is written off at another amount": (
        CRASHED.changed("lapsed", assumed_usd=usd("0.5"), returned_usd=usd("3.25")),
        ("lapsed", "what is assumed of an allowance", "1", "0.5"),
    ),
    "a hold that is written off although its cost was known": (
        CRASHED.changed(
            "lapsed",
            assumed_holds=(hold(1).hold_id, hold(2).hold_id),
            spent_usd=usd("0"),
            assumed_usd=usd("2"),
            returned_usd=usd("2"),
        ),
        ("lapsed", f"{hold(1).hold_id} is written off, and its cost was known", "0.25", "1"),
    ),
    "a hold that nobody knows the end of and that is not written off": (
        CRASHED.changed("lapsed", assumed_holds=(), assumed_usd=usd("0"), returned_usd=usd("3.75")),
        ("lapsed", f"the end of {hold(2).hold_id} is not known, and it is not written off", None, None),
    ),
    "a hold that is written off and never was": (
        CRASHED.changed("lapsed", assumed_holds=(hold(2).hold_id, "none/1")),
        ("lapsed", "none/1 is written off, and was not held", None, None),
    ),
    # Totals.
    "books closed with another sum": (
        RIGHT.changed("closed", settled_usd=usd("0.7")),
        ("closed", "settled in the end", "0.75", "0.7"),
    ),
    "books closed with another assumption": (
        CRASHED.changed("closed", assumed_usd=usd("0")),
        ("closed", "assumed in the end", "1", "0"),
    ),
    "books closed with another overrun": (
        RIGHT.changed("closed", overrun_usd=usd("0.1")),
        ("closed", "overrun in the end", "0", "0.1"),
    ),
    "books closed with another limit": (
        RIGHT.changed("closed", limit_usd=usd("11")),
        ("closed", "the limit in the end", "10", "11"),
    ),
    "something in closed books": (
        RIGHT.then(late=granted(2, "1")),
        ("late", "in books that are not open", None, None),
    ),
    "a period that is opened twice": (
        OPEN.after("opened", twice=opened()),
        ("twice", "a period is opened twice", None, None),
    ),
    "a period of no budget": (
        OPEN.without("defined"),
        ("opened", "a budget has a period and was never set up", None, None),
    ),
    "a limit that nobody set": (
        OPEN.then(raised=LimitChanged(limit_usd=usd("100"))),
        ("raised", "a limit that the budget never had", "10", "100"),
    ),
    "a threshold at another sum": (
        OPEN.then(told=ThresholdReached(percent=5, settled_usd=usd("0.5"))),
        ("told", "settled at a threshold", "0.75", "0.5"),
    ),
    "an exhaustion with another sum": (
        OPEN.then(told=BudgetExhausted(needed_usd=usd("99"), settled_usd=usd("0.75"), lent_usd=usd("1"))),
        ("told", "lent when it was exhausted", "0", "1"),
    ),
    # What is carried over.
    "too much left over": (
        CARRIED.changed("closed", carried_forward_usd=usd("10")),
        ("closed", "what a period leaves over", "9.25", "10"),
    ),
    "something left over by a budget that carries nothing over": (
        RIGHT.changed("closed", carried_forward_usd=usd("1")),
        ("closed", "what a period leaves over", "0", "1"),
    ),
    "a period that begins with too much": (
        CARRIED.then(december=december("9.5")),
        ("december", "what a period begins with", "9.25", "9.5"),
    ),
    "a period that begins with what the one before still has": (
        CARRIED.without("closed").then(december=december("9.25")),
        ("december", "what a period begins with", "0", "9.25"),
    ),
    "too much that arrives later": (
        CARRIED.then(
            december=december("0"),
            arrived=in_december(BalanceCarriedOver(period_key=NOVEMBER.key, amount_usd=usd("9.5"))),
        ),
        ("arrived", "what the period before left over", "9.25", "9.5"),
    ),
    "what arrives twice": (
        CARRIED.then(
            december=december("9.25"),
            arrived=in_december(BalanceCarriedOver(period_key=NOVEMBER.key, amount_usd=usd("9.25"))),
        ),
        ("arrived", "what the period before left over", "0", "9.25"),
    ),
    # What makes no sense at all.
    "a negative amount": (
        OPEN.then(negative=granted(2, "-1")),
        ("negative", "makes no sense: -1 USD is not an amount from 0 to 1000000000000000 USD.", None, None),
    ),
    "a stream of nothing": (
        OPEN.then(nowhere=("allowance-of-nobody", hold(2))),
        ("nowhere", "makes no sense: badly formed hexadecimal UUID string", None, None),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_found_and_named(name):
    log, (place, what, expected, found) = WRONG[name]
    audit = audited(log)
    named = [(one.stream, one.position, one.what, one.expected_usd, one.found_usd) for one in audit.differences]
    amounts = [None if amount is None else usd(amount) for amount in (expected, found)]
    assert (*log.place(place), what, *amounts) in named


def test_a_wrong_settlement_is_named_once_where_it_is():
    log, _ = WRONG["a settlement that is too low"]
    assert audited(log).difference_count == 1


def test_of_a_log_that_is_wrong_everywhere_the_beginning_is_listed_and_all_is_counted():
    log = OPEN.then(**{f"stray_{number}": costs(7, "0.1") for number in range(1_500)})
    audit = audited(log)
    assert (len(audit.differences), audit.difference_count) == (1_000, 1_500)
