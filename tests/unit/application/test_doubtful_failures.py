"""Failures of which nobody knows whether they were stored: each attempt is charged once, and none stays open."""

import asyncio
from decimal import Decimal

import pytest
from house import House, PriceList
from money_ledgers import ledger_of

from send2llm.application.money_audit import AuditMoney
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetScope
from send2llm.domain.completion import Parameters
from send2llm.domain.conversation_events import AttemptFailed, CompletionInterrupted
from send2llm.domain.errors import ConnectionFailed, Overloaded, ProviderTimedOut, StoreUnavailable
from send2llm.infrastructure.event_store.streams import BudgetStreams
from send2llm.testing.conversations import LossyConversations
from send2llm.testing.providers import FakeProvider

SHORT = Parameters(max_output_tokens=20)
FREE = Overloaded("busy", status=503)
DEAR = ConnectionFailed("lost")
"""Costs all that was held."""
FINAL = ProviderTimedOut("total", 9.0)
"""Is not tried again, and costs all that was held."""


@pytest.fixture
def house() -> House:
    providers = [FakeProvider("first"), FakeProvider("second")]
    return House(providers=providers, routes={"any": ["first/m", "second/m"]}, conversations_kind=LossyConversations)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("error", [FREE, DEAR, FINAL], ids=["free", "dear", "final"])
@pytest.mark.parametrize("model", ["any", "first/m"])
@pytest.mark.parametrize("covered", [("first", "second"), ("first",), ("second",), ()], ids="+".join)
async def test_a_lost_answer_charges_a_failed_attempt_once_and_leaves_none_open(house, stored, error, covered, model):
    plans = [await house.budget("1", BudgetScope(name)) for name in covered]
    if len(covered) == 2:
        plans.append(await house.budget("5", WHOLE_SERVICE))
    house.providers[0].script(error)
    house.conversations.losses.extend([None, stored])
    with pytest.raises(StoreUnavailable):
        await house.complete(model=model, parameters=SHORT)
    await house.background.drain(5)

    (failed,) = [one.event for one in house.store.events if isinstance(one.event, AttemptFailed)]
    interrupted = house.last(CompletionInterrupted)
    assert (interrupted.reason, interrupted.attempts) == ("store_unavailable", 2)
    assert not interrupted.cost_usd
    assert bool(failed.next_attempt) == (stored and (error is not FINAL or model == "any"))

    holds = [one.event for one in house.store.events if isinstance(one.event, HoldTaken)]
    may_cost = error is not FREE and "first" in covered
    cost = holds[0].amount_usd if may_cost else Decimal(0)
    ledger = ledger_of(house.store.events)
    assert {row["status"] for row in ledger.values()} <= {"failed", "interrupted"}
    assert sum(row["cost_usd"] or 0 for row in ledger.values()) == cost

    await house.holds.close()
    for plan in plans:
        if await house.budgets.events(plan.id, "total"):
            balance = (await house.period(plan)).balance
            pays = plan.scope in (WHOLE_SERVICE, BudgetScope("first"))
            assert (balance.settled, balance.lent) == (cost if pays else 0, 0)
    audit = await AuditMoney(house.conversations, BudgetStreams(), PriceList())()
    assert (audit.differences, audit.cost_usd) == ((), cost)


async def test_what_is_held_for_the_attempt_that_follows_stays_held_until_it_is_known(house):
    plan = await house.budget("1", WHOLE_SERVICE)
    house.providers[0].script(DEAR)
    house.conversations.losses.extend([None, True, False, False])
    with pytest.raises(StoreUnavailable):
        await house.complete(model="any", parameters=SHORT)
    await asyncio.sleep(0)
    (purse,) = house.holds._purses.values()
    assert sorted(hold_id[-1] for one in purse.slices for hold_id in one.holds) == ["1", "2"]
    await house.background.drain(5)
    assert not any(one.holds for one in purse.slices)
    await house.holds.close()
    balance = (await house.period(plan)).balance
    assert (balance.settled, balance.lent) == (house.last(AttemptFailed).cost_usd, 0)


async def test_a_caller_that_is_cancelled_meanwhile(house):
    plan = await house.budget("1", WHOLE_SERVICE)
    house.providers[0].script(FREE)
    reached, saving = asyncio.Event(), house.conversations.save

    async def save(conversation, context, **more):
        position = await saving(conversation, context, **more)
        if isinstance(house.store.events[-2].event, AttemptFailed):
            reached.set()
            house.conversations.save = saving
            await asyncio.sleep(3600)
        return position

    house.conversations.save = save
    call = asyncio.create_task(house.complete(model="any", parameters=SHORT))
    await reached.wait()
    call.cancel()
    await asyncio.wait([call])
    await house.background.drain(5)
    interrupted = house.last(CompletionInterrupted)
    assert (interrupted.reason, interrupted.attempts, interrupted.cost_usd) == ("shutdown", 2, 0)
    await house.holds.close()
    balance = (await house.period(plan)).balance
    assert (balance.settled, balance.lent) == (0, 0)
