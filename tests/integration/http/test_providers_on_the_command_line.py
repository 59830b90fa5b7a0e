"""The providers as the API and the command line show them, and checks that cost, before the real service."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from command_line import run

from gateway import MODEL, PROVIDER_KEY, Gateway, serving, settings_for, soon
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.settings import PriceSettings, ProviderSettings
from send2llm.testing.openai_server import ErrorReply, FakeOpenAIServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(migrated: ConnectionInfo, provider_url: str, nowhere: str) -> AsyncIterator[Gateway]:
    prices = {f"fake/{MODEL}": PriceSettings(input=Decimal(1), output=Decimal(2))}
    secretive = provider_url.replace("http://", "http://user:password@") + "?key=hidden"
    providers = {
        "fake": ProviderSettings(base_url=provider_url, api_key=PROVIDER_KEY, models=(MODEL, "unpriced")),
        "open": ProviderSettings(base_url=provider_url),
        "down": ProviderSettings(base_url=nowhere, models=("m",)),
        "own": ProviderSettings(base_url=secretive, models=("m",), free=True),
    }
    async with serving(settings_for(migrated, provider_url, prices=prices, providers=providers)) as gateway:
        yield gateway


async def shown(gateway: Gateway) -> dict[str, Any]:
    return {one["name"]: one for one in (await gateway.api.get("/api/providers")).json()["data"]}


async def test_what_is_there_is_shown_without_secrets(gateway: Gateway, provider_url: str) -> None:
    response = await gateway.api.get("/api/providers")
    found = await shown(gateway)
    version = found["fake"]["models"][0]["price"]["version"]

    assert list(found) == ["fake", "open", "down", "own"]
    assert found["fake"] == {
        "name": "fake",
        "format": "openai",
        "base_url": provider_url,
        "models": [
            {"name": MODEL, "price": {"input_usd": "1", "output_usd": "2", "version": version}},
            {"name": "unpriced", "price": None},
        ],
        "only_listed": False,
        "free": False,
        "capabilities": {
            "chat": True,
            "streaming": True,
            "tools": True,
            "images": True,
            "structured_output": True,
            "embeddings": True,
            "count_tokens": False,
        },
        "health": {"state": "unknown", "attempts": 0, "failed": 0, "last_at": None, "last_error": None},
    }  # fmt: skip
    assert found["own"]["base_url"] == provider_url
    assert found["own"]["models"][0]["price"]["input_usd"] == "0"
    for secret in (PROVIDER_KEY, "password", "hidden"):
        assert secret not in response.text


async def test_health_is_what_the_last_attempts_tell(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    with gateway.projecting():
        provider.script(ErrorReply(400), ErrorReply(429), ErrorReply(429))
        await gateway.ask()
        await gateway.history_is_complete()
        well = (await shown(gateway))["fake"]["health"]
        await gateway.ask()  # twice tried
        await gateway.history_is_complete()
        failing = (await shown(gateway))["fake"]["health"]
        await gateway.ask()
        await gateway.history_is_complete()
        degraded = (await shown(gateway))["fake"]["health"]
        listed = await run(gateway, "providers", COLUMNS="250")

    assert (well["state"], well["attempts"], well["failed"]) == ("ok", 1, 0)  # the request was wrong, not the provider
    assert (failing["state"], failing["failed"], failing["last_error"]) == ("failing", 2, "provider_rate_limited")
    assert (degraded["state"], degraded["attempts"], degraded["last_error"]) == ("degraded", 4, None)
    assert failing["last_at"] < degraded["last_at"]
    lines = {line.split()[0]: line for line in listed.output.splitlines()}
    assert "degraded" in lines["fake"]
    assert f"{MODEL} ($1/$2), unpriced (no known price)" in lines["fake"]
    assert "unknown" in lines["open"]
    assert lines["open"].rstrip().endswith("any")


async def test_a_check_is_a_call_like_any_other(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    checked = await run(gateway, "providers", "check", "fake", "open", "--json")

    assert checked.exit_code == 0, checked.errors
    fake, other = checked.json["checks"]
    assert (fake["provider"], fake["model"], fake["ok"]) == ("fake", MODEL, True)
    assert (fake["input_tokens"], fake["output_tokens"], fake["cost_usd"]) == (9, 4, "0.000017")
    assert (other["model"], other["cost_usd"]) == (MODEL, None)  # the first of those that the provider lists
    asked = [request.json for request in provider.requests if request.method == "POST"]
    assert [body["max_completion_tokens"] for body in asked] == [8, 8]
    received = await gateway.events("conversation.completion_received")
    assert (received[0].data["provider"], received[0].data["cost_usd"]) == ("fake", "0.000017")
    started = await gateway.events("conversation.started")
    assert started[0].data["labels"] == {"purpose": "provider check"}


async def test_a_budget_holds_for_checks_too(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    made = await run(gateway, "budget", "set", "fake", "--limit", "0.000001", "--period", "day")
    assert made.exit_code == 0, made.errors

    async def refused() -> bool:  # the processes learn of a budget within moments
        checked = await run(gateway, "providers", "check", "fake", "--json")
        return bool(checked.exit_code == 1 and checked.json["checks"][0]["code"] == "budget_exceeded")

    assert await soon(refused)


async def test_who_fails_is_told_with_what_to_do(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    provider.script(ErrorReply(401, message="no such key"))

    checked = await run(gateway, "providers", "check", "fake", "down", "own/other", COLUMNS="250")

    assert checked.exit_code == 1
    lines = checked.output.splitlines()[1:]
    assert [line.split()[:3] for line in lines] == [
        ["FAILED", "fake", MODEL],
        ["FAILED", "down", "m"],
        ["ok", "own", "other"],
    ]
    assert "fake: fake answered with HTTP 401: no such key Check the api_key of [providers.fake]." in checked.errors
    assert "check its base_url and whether it is running" in checked.errors


async def test_nobody_is_asked_when_a_name_is_not_there(gateway: Gateway, provider: FakeOpenAIServer) -> None:
    checked = await run(gateway, "providers", "check", "fake", "fkae")

    assert checked.exit_code == 1
    assert "There is no provider 'fkae'. Did you mean fake?" in checked.errors
    assert provider.requests == []
