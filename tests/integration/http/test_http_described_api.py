"""Every operation of the OpenAPI document, tried with what it allows and with what it does not, on the real service.

Answers are as described: their status, their type, their shape; what is not allowed is refused; nothing fails.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from decimal import Decimal
from uuid import uuid4

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
from send2llm.testing.eventually import eventually
from send2llm.testing.openai_server import FakeOpenAIServer, running

# Strategies draw no random numbers: the service does, in a thread of its own, for the ages of its connections.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

load_all_checks()
CHECKS = [
    getattr(schemathesis.checks, name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
        "allow_header_conformance",
    )
]
EXAMPLES = 12
"""Made up for each operation, beside those that go through its description value by value."""


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
                with gateway.projecting():
                    started.set_result((gateway.address, asyncio.get_running_loop(), stop))
                    await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # whoever waits for the start shall hear of it
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=run, name="service")
    thread.start()
    url, loop, stop = started.result(30)
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture
def known(address: str) -> dict[str, str]:
    """What there is: ids that lead further than those that are made up."""
    with httpx2.Client(base_url=address, trust_env=False) as client:

        def made(path: str, body: dict) -> str:
            return client.post(path, json=body).raise_for_status().json()["id"]

        budget = made("/api/budgets", {"limit_usd": "5", "scope": {"provider": "fake", "tenant": uuid4().hex}})
        conversation = made("/api/conversations", {"labels": {"of": "a test"}})
        message = {"model": MODEL, "content": "hello", "max_output_tokens": 20}
        client.post(f"/api/conversations/{conversation}/messages", json=message).raise_for_status()
        response = made("/v1/responses", {"model": MODEL, "input": "hello", "max_output_tokens": 20})
        for path in ("/api/costs", "/api/usage", "/api/conversations"):  # so that reports have lines
            eventually(lambda path=path: client.get(path).raise_for_status().json()["data"])
    return {
        "conversation_id": conversation,
        "budget_id": budget,
        "response_id": response,
        "model": MODEL,
        "name": "history",
        "build": "1.1",
        "version": 1,
    }


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
    if meant:  # it may even succeed
        for name in case.path_parameters:
            case.path_parameters[name] = known["model" if case.path.startswith("/v1/models") else name]
        if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = MODEL
    case.call_and_validate(base_url=address, checks=CHECKS, timeout=20)
