"""Processes that share budgets: idle money goes home, money of the dead is settled, and no cap is ever broken."""

import asyncio
from contextlib import suppress
from decimal import Decimal

import pytest
from house import House

from send2llm.application.budgets.abandoned import SettleAbandonedAllowances
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.domain.allowance_events import HoldTaken
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.errors import BudgetExceeded, Overloaded
from send2llm.domain.provider_budget_events import (
    AllowanceGranted,
    AllowanceLapsed,
    AllowanceRenewed,
    AllowanceSettled,
    BudgetExhausted,
)
from send2llm.testing.providers import Held, answer

USAGE = Usage(input_tokens=10, output_tokens=20)
COST = Decimal("0.00033")
SHORT = Parameters(max_output_tokens=20)
HOLD = Decimal("0.003486")
"""What a short call holds."""


class Lives:
    """``Processes`` that a test kills."""

    def __init__(self) -> None:
        self.dead: set[str] = set()

    async def is_alive(self, process: str) -> bool:
        return process not in self.dead


def beside(house: House, process: str = "process-2", **terms: object) -> House:
    """Another process of the same service, on the same clock."""
    shared = {"store": house.store, "policy": house.policy, "clock": house.clock, "recalls": house.recalls}
    return House(process=process, **shared, **terms)


def settling(house: House, lives: Lives) -> SettleAbandonedAllowances:
    return SettleAbandonedAllowances(
        house.budgets,
        house.directory,
        house.conversations,
        lives,
        house.clock,
        house.identifiers,
        house.budget_observer,
    )


def events(house: House, kind: type) -> list:
    return [one.event for one in house.store.events if isinstance(one.event, kind)]


async def running_call(house: House):
    """A call that waits for its provider: the task, and what lets it end."""
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!", usage=USAGE), gate))
    call = asyncio.create_task(house.complete(parameters=SHORT))
    await house.provider.called()
    return call, gate


async def test_another_process_gets_what_lies_idle_here(house):
    plan = await house.budget("0.01")  # for two calls at most
    other = beside(house)
    await other.holds.refresh()
    house.provider.script(answer("Hello!", usage=USAGE))
    await house.complete(parameters=SHORT)  # leaves a slice with the rest of its hold
    house.recalls.on_ask = house.holds.recalled

    other.provider.script(*[answer("Hello!", usage=USAGE)] * 20)
    answered = 0
    with suppress(BudgetExceeded):
        for _ in range(20):
            await other.complete(parameters=SHORT)
            answered += 1

    assert 0 < answered < 20
    await other.holds.close()
    balance = (await house.period(plan)).balance
    assert balance.settled == (answered + 1) * COST
    assert balance.left < HOLD  # all that could be used was used
    assert balance.lent == 0


async def test_idle_money_goes_home_unasked(house):
    plan = await house.budget("1")
    house.provider.script(answer("Hello!", usage=USAGE))
    await house.complete(parameters=SHORT)
    await house.holds.tidy()
    assert (await house.period(plan)).balance.lent > 0
    house.clock.advance(house.policy.idle)
    await house.holds.tidy()
    balance = (await house.period(plan)).balance
    assert (balance.lent, balance.settled) == (0, COST)


async def test_money_for_a_long_call_is_renewed_and_the_rest_goes_home(house):
    plan = await house.budget("1")
    call, gate = await running_call(house)
    house.clock.advance(house.policy.allowance * 0.6)
    await house.holds.tidy()
    (renewed,) = events(house, AllowanceRenewed)
    assert renewed.amount_usd == HOLD
    assert (await house.period(plan)).expired(house.clock.now()) == []
    gate.set()
    await call
    await house.holds.tidy()
    assert (await house.period(plan)).balance.settled == COST


async def test_a_refusal_is_bounded_in_time_while_others_hold_the_money(house):
    await house.budget("0.005")
    call, gate = await running_call(house)
    other = beside(house)
    await other.holds.refresh()
    began = house.clock.monotonic()
    with pytest.raises(BudgetExceeded):
        await other.complete(parameters=SHORT)
    assert house.policy.recall <= house.clock.monotonic() - began < house.policy.recall + 0.5
    assert house.recalls.asked
    assert not events(house, BudgetExhausted)  # it may yet come home
    gate.set()
    await call


async def test_what_is_out_of_reach_is_refused_at_once_and_noted_once(house):
    plan = await house.budget("0.004")
    house.provider.script(answer("Hello!", usage=USAGE))
    await house.complete(parameters=SHORT)
    house.clock.advance(house.policy.idle)
    await house.holds.tidy()
    house.provider.script(answer("Hello!", usage=USAGE))
    await house.complete(parameters=SHORT)  # 0.00334 is left, and less than that is the shortest answer
    began = house.clock.monotonic()
    for _ in range(3):
        with pytest.raises(BudgetExceeded) as refusal:
            await house.complete(parameters=SHORT)
    assert house.clock.monotonic() == began
    assert len(events(house, BudgetExhausted)) == 1
    assert (await house.period(plan)).refused == refusal.value.shortfall.needed_usd


async def test_a_storm_of_refused_calls_asks_the_budget_once(house):
    plan = await house.budget("0.001")
    results = await asyncio.gather(*(house.complete(parameters=SHORT) for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {BudgetExceeded}
    assert len({result.conversation_id for result in results}) == 50
    assert len(await house.budgets.events(plan.id, "total")) == 2  # opened, exhausted


class TestMoneyOfTheDead:
    async def test_an_unfinished_call_counts_with_its_hold(self, house):
        plan = await house.budget("1")
        await running_call(house)
        survivor, lives = beside(house), Lives()
        await survivor.holds.refresh()
        assert await settling(survivor, lives)() == 0
        lives.dead.add(house.process)
        assert await settling(survivor, lives)() == 1
        balance = (await house.period(plan)).balance
        assert (balance.settled, balance.assumed, balance.lent) == (HOLD, HOLD, 0)
        (lapsed,) = events(house, AllowanceLapsed)
        assert lapsed.assumed_holds == (events(house, HoldTaken)[0].hold_id,)
        assert survivor.budget_observer.lapses == [(plan.id, "total", house.process, HOLD)]

    async def test_a_finished_call_counts_with_its_cost(self, house):
        plan = await house.budget("1")
        house.provider.script(Overloaded("busy", status=503), answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        survivor, lives = beside(house), Lives()
        await survivor.holds.refresh()
        lives.dead.add(house.process)
        await settling(survivor, lives)()
        balance = (await house.period(plan)).balance
        assert (balance.settled, balance.assumed, balance.lent) == (COST, 0, 0)

    async def test_any_number_of_survivors_settle_once(self, house):
        plan = await house.budget("1")
        await running_call(house)
        lives = Lives()
        lives.dead.add(house.process)
        survivors = [beside(house, f"survivor-{number}") for number in range(3)]
        for survivor in survivors:
            await survivor.holds.refresh()
        settled = await asyncio.gather(*(settling(survivor, lives)() for survivor in survivors))
        assert sum(settled) == 1
        assert (await house.period(plan)).balance.settled == HOLD

    async def test_a_living_one_that_renews_is_left_alone(self, house):
        await house.budget("1")
        call, gate = await running_call(house)
        survivor = beside(house)
        await survivor.holds.refresh()
        for _ in range(4):
            house.clock.advance(house.policy.allowance * 0.6)
            await house.holds.tidy()
            assert await settling(survivor, Lives())() == 0
        gate.set()
        await call

    async def test_one_that_was_only_paused_cannot_spend_what_was_taken_from_it(self, house):
        plan = await house.budget("0.02")
        call, gate = await running_call(house)
        survivor = beside(house)
        await survivor.holds.refresh()
        house.clock.advance(house.policy.allowance + 2)  # paused: nothing was renewed
        assert await settling(survivor, Lives())() == 1
        gate.set()
        assert (await call).cost_usd == COST  # its answer is welcome, and counts with its hold all the same

        house.provider.script(answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        await house.holds.close()

        lapsed = next(n for n, one in enumerate(house.store.events) if isinstance(one.event, AllowanceLapsed))
        granted = [one for one in house.store.events[lapsed:] if isinstance(one.event, AllowanceGranted)]
        assert len(granted) == 1  # new money for the new call
        balance = (await house.period(plan)).balance
        assert (balance.settled, balance.lent) == (HOLD + COST, 0)
        assert len(events(house, AllowanceSettled)) == 1

    async def test_a_bill_beyond_the_hold_of_a_call_that_was_written_off_is_an_overrun(self, house):
        plan = await house.budget("0.02")
        gate = asyncio.Event()
        house.provider.script(Held(answer("Hello!", usage=Usage(10, 1_000)), gate))
        call = asyncio.create_task(house.complete(parameters=SHORT))
        await house.provider.called()
        survivor = beside(house)
        await survivor.holds.refresh()
        house.clock.advance(house.policy.allowance + 2)
        await settling(survivor, Lives())()
        gate.set()
        await call
        await house.holds.tidy()
        await house.holds.tidy()
        balance = (await house.period(plan)).balance
        assert balance.settled == Decimal("0.01503")
        assert balance.overrun == Decimal("0.01503") - HOLD

    async def test_a_bill_that_comes_when_the_books_are_closed_is_told_all_the_same(self, house):
        plan = await house.budget("0.02", recurrence=Recurrence("hour"))
        gate = asyncio.Event()
        house.provider.script(Held(answer("Hello!", usage=Usage(10, 1_000)), gate))
        call = asyncio.create_task(house.complete(parameters=SHORT))
        await house.provider.called()
        survivor = beside(house)
        await survivor.holds.refresh()
        house.clock.advance(3700)
        await settling(survivor, Lives())()
        assert await survivor.closing()() == 1
        gate.set()
        assert (await call).cost_usd == Decimal("0.01503")
        for _ in range(3):
            await house.holds.tidy()
        assert house.budget_observer.overruns == [(plan.id, "2026-01-01T12+00:00", Decimal("0.01503") - HOLD)]
        assert not any(purse.slices for purse in house.holds._purses.values())


class TestClosingTheBooks:
    async def test_a_period_is_closed_when_its_last_call_has_ended(self, house):
        plan = await house.budget("1", recurrence=Recurrence("hour"), carry_over=True)
        period = plan.recurrence.containing(house.clock.now())
        call, gate = await running_call(house)
        house.clock.advance(3700)
        await house.holds.tidy()
        closing = house.closing()
        await house.holds.refresh()
        assert await closing() == 0
        gate.set()
        await call
        await house.holds.tidy()
        assert await closing() == 1
        books = await house.budgets.period(plan.id, period.key)
        assert (books.closed, books.balance.settled, books.carried_forward) == (True, COST, 1 - COST)

        house.provider.script(answer("Hello!", usage=USAGE))
        await house.holds.refresh()
        await house.complete(parameters=SHORT)
        assert (await house.period(plan)).balance.carried_over == 1 - COST

    async def test_what_is_left_over_reaches_a_period_that_was_opened_before(self, house):
        plan = await house.budget("1", recurrence=Recurrence("hour"), carry_over=True)
        call, gate = await running_call(house)
        house.clock.advance(3700)
        house.provider.script(answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        assert (await house.period(plan)).balance.carried_over == 0
        gate.set()
        await call
        await house.holds.close()
        await house.holds.refresh()
        await house.closing()()
        assert (await house.period(plan)).balance.carried_over == 1 - COST

    async def test_unused_periods_leave_a_whole_limit(self, house):
        plan = await house.budget("1", recurrence=Recurrence("hour"), carry_over=True)
        house.provider.script(answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        await house.holds.refresh()
        house.clock.advance(3600 * 5)
        house.provider.script(answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        assert (await house.period(plan)).balance.carried_over == 1

    async def test_a_limit_that_was_changed_while_the_period_was_opened_arrives(self, house):
        plan = await house.budget("1")
        await house.complete(parameters=SHORT)
        changed = await house.budgets.plan(plan.id)
        changed.change(limit=Decimal(5))
        await house.budgets.save(changed, context=house.context())
        await house.holds.refresh()
        await house.closing()()
        assert (await house.period(plan)).balance.limit == 5


async def test_a_process_that_was_paused_learns_of_new_budgets_before_it_goes_on(house):
    other = beside(house)
    await other.budget("0.001")
    await house.complete(parameters=SHORT)  # not told yet
    house.clock.advance(16)
    with pytest.raises(BudgetExceeded):
        await house.complete(parameters=SHORT)


@pytest.fixture
def house() -> House:
    return House(policy=BudgetPolicy(allowance=60, idle=5, recall=2))
