"""What is done for budgets from time to time goes on, whatever happens, until it is told to stop."""

import asyncio

import pytest
from house import House
from test_budgets_of_several_processes import Lives, settling

from send2llm.application.budgets.upkeep import BudgetUpkeep
from send2llm.domain.completion import Parameters


class RealSleep:
    """Sleeps for no time, but really."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture
def upkeep(house: House) -> BudgetUpkeep:
    return BudgetUpkeep(house.holds, settling(house, Lives()), house.closing(), RealSleep())


async def test_it_goes_on_when_the_database_comes_back(house, upkeep):
    await house.budget("1")
    other = House(store=house.store, clock=house.clock, process="other")
    works = [asyncio.create_task(work) for work in upkeep.works()]
    house.store.available = False
    for _ in range(20):
        await asyncio.sleep(0)
    house.store.available = True
    plan = await other.budget("0.001", thresholds=(50,))
    for _ in range(1_000):
        if house.directory.plan(plan.id) is not None:
            break
        await asyncio.sleep(0)
    assert house.directory.plan(plan.id) is not None
    assert not any(work.done() for work in works)
    for work in works:
        work.cancel()
    await asyncio.wait(works)
    assert all(work.cancelled() for work in works)


async def test_it_leaves_nothing_lent_when_it_stops(house, upkeep):
    plan = await house.budget("1")
    await upkeep.start()
    await house.complete(parameters=Parameters(max_output_tokens=20))
    assert (await house.period(plan)).balance.lent > 0
    await upkeep.stop()
    assert (await house.period(plan)).balance.lent == 0


async def test_money_that_cannot_be_brought_home_is_no_reason_not_to_stop(house, upkeep):
    await house.budget("1")
    await house.complete(parameters=Parameters(max_output_tokens=20))
    house.store.available = False
    await upkeep.stop()
