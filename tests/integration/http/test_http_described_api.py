"""Every operation of the OpenAPI document, tried with what it allows and with what it does not, on the real service.

Answers are as described: their status, their type, their shape; what is not allowed is refused; nothing fails.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from decimal import Decimal

import httpx2
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings, strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig

from gateway import MODEL, serving, settings_for
from send2llm.infrastructure.formats.installed import installed_formats
from send2llm.interfaces.http.app import add_routes
from send2llm.settings import PriceSettings
from send2llm.testing.openai_server import FakeOpenAIServer, running

load_all_checks()

CONVERSATION = "01a20000-0000-7000-8000-000000000001"
CHECKS = [
    getattr(schemathesis.checks, name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
]
EXAMPLES = 12


def description() -> dict:
    app = FastAPI(title="Send2LLM", version="0")
    add_routes(app, installed_formats())
    return app.openapi()


SCHEMA = schemathesis.openapi.from_dict(
    description(), config=SchemathesisConfig.from_dict({"seed": 1, "generation": {"deterministic": True}})
)


@pytest.fixture(scope="module")
def address(clean_environment, module_database) -> Iterator[str]:
    """Where a service answers that runs in a thread: what asks it waits for each answer."""
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with running(FakeOpenAIServer(models=(MODEL,))) as provider:
            prices = {f"fake/{MODEL}": PriceSettings(input=Decimal(1), output=Decimal(2))}
            async with serving(settings_for(module_database, provider, prices=prices)) as gateway:
                started.set_result((gateway.address, asyncio.get_running_loop(), stop))
                await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="service")
    thread.start()
    url, loop, stop = started.result(30)
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture(scope="module")
def known(address: str) -> dict[str, str]:
    """What there is: names that are worth more than those that are made up."""
    with httpx2.Client(base_url=address, trust_env=False) as client:
        client.post("/api/conversations", json={"id": CONVERSATION}).raise_for_status()
        budget = client.post("/api/budgets", json={"limit_usd": "5", "scope": {"provider": "fake"}})
        budget.raise_for_status()
    return {"conversation_id": CONVERSATION, "budget_id": budget.json()["id"], "name": MODEL}


@SCHEMA.parametrize()
@SCHEMA.given(meant=st.booleans())
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_an_operation_does_what_is_described(case, meant, address, known):
    if meant:
        for name in case.path_parameters:
            case.path_parameters[name] = known[name]
        if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = MODEL
    case.call_and_validate(base_url=address, checks=CHECKS, timeout=20)
