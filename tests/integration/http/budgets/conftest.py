"""A service that has prices, and whose processes give back soon what they do not need."""

import pytest_asyncio
from budget_calls import PRICES

from gateway import serving, settings_for
from send2llm.settings import BudgetSettings


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated, provider_url):
    settings = settings_for(
        migrated, provider_url, prices=PRICES, budgets=BudgetSettings(idle_seconds=0.1, recall_seconds=0.3)
    )
    async with serving(settings) as gateway:
        yield gateway
