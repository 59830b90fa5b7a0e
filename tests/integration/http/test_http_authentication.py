"""Who may come in: with a key set, everything but health asks for it."""

from collections.abc import AsyncIterator

import httpx2
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from pydantic import SecretStr

from gateway import HELLO, MODEL, Gateway, serving, settings_for
from send2llm.infrastructure.postgres import ConnectionInfo

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "a-long-random-text-0123456789"
EVERYTHING = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/models"),
    ("GET", f"/v1/models/{MODEL}"),
    ("GET", "/v1/nothing"),
    ("GET", "/api/conversations"),
    ("POST", "/api/conversations"),
    ("GET", "/api/conversations/00000000-0000-0000-0000-000000000000"),
    ("POST", "/api/conversations/00000000-0000-0000-0000-000000000000/messages"),
    ("GET", "/api/events"),
    ("GET", "/api/projections"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/redoc"),
    ("GET", "/"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(module_database: ConnectionInfo, provider_url: str) -> AsyncIterator[Gateway]:
    async with serving(settings_for(module_database, provider_url, api_key=SecretStr(KEY))) as gateway:
        yield gateway


def stranger(locked: Gateway) -> httpx2.AsyncClient:
    """A client without a key."""
    return httpx2.AsyncClient(base_url=locked.address, trust_env=False)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"x-api-key": "wrong"},
        {"x-api-key": b"\xff\xfe"},
        {"authorization": "Bearer wrong", "x-api-key": KEY},
        {"authorization": f"Bearer {KEY}x"},
    ],
    ids=str,
)
async def test_without_the_key(locked: Gateway, headers: dict[str, str]) -> None:
    await locked.forget()
    async with stranger(locked) as api:
        for method, path in EVERYTHING:
            response = await api.request(method, path, headers=headers)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.headers["x-request-id"]
            said = response.json().get("error", response.json())
            assert said["code"] == "invalid_api_key"
            assert KEY not in response.text
    assert await locked.events() == []


@pytest.mark.parametrize(
    "headers", [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer   {KEY}"}, {"x-api-key": KEY}], ids=str
)
async def test_with_the_key(locked: Gateway, headers: dict[str, str]) -> None:
    async with stranger(locked) as api:
        for path in ("/v1/models", "/api/conversations", "/metrics", "/docs"):
            assert (await api.get(path, headers=headers)).status_code == 200
        body = {"model": MODEL, "messages": HELLO}
        assert (await api.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_open(locked: Gateway, path: str) -> None:
    async with stranger(locked) as api:
        assert (await api.get(path)).status_code == 200


async def test_the_sdk_says_what_it_always_says(locked: Gateway) -> None:
    async with AsyncOpenAI(base_url=f"{locked.address}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model=MODEL, messages=HELLO)
    answer = await locked.sdk.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "Hello!"


async def test_a_large_body_is_not_read_from_strangers(locked: Gateway) -> None:
    response = await locked.api.post(
        "/v1/chat/completions", content=b" " * 20_000_000, headers={"authorization": "Bearer wrong"}
    )
    assert response.status_code == 401


async def test_actors_are_told_apart(locked: Gateway) -> None:
    await locked.forget()
    await locked.ask()
    assert {one.meta["actor"] for one in await locked.events()} == {"api_key"}
