"""Calls under a budget, and how it stands; what the tests of budgets over HTTP share."""

from decimal import Decimal

from gateway import Gateway, soon
from send2llm.settings import PriceSettings

LIMITED = {"max_tokens": 20}
LITTLE = "0.0016"
"""What one call holds, and what some thirty cost: most of a hold comes back."""
PRICES = {"fake/fake-model-1": PriceSettings(input=Decimal(1), output=Decimal(2))}


async def define(gateway: Gateway, limit: str = "1", **terms):
    body = {"scope": {"provider": "fake"}, "limit_usd": limit, "period": "month", **terms}
    response = await gateway.api.post("/api/budgets", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def books(gateway: Gateway, budget):
    return (await gateway.api.get(f"/api/budgets/{budget['id']}")).json()["running"]


async def all_home(gateway: Gateway, budget):
    """Wait until nothing is lent any more."""

    async def home():
        running = await books(gateway, budget)
        return running if Decimal(running["lent_usd"]) == 0 else None

    return await soon(home)
