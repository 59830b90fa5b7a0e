"""Vertex AI: addresses, Google's credentials, and what differs from the Gemini API."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import EmbeddingParameters, Parameters, Usage
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionFailed,
    ModelNotAvailable,
    RequestRejected,
)
from send2llm.domain.message import ImagePart, Message, TextPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.google_credentials import GoogleSigner
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.gemini_server import FakeGeminiServer
from send2llm.testing.google_token_server import FakeTokenServer
from send2llm.testing.provider_server import Reply, running

PLACE = "/v1beta1/projects/acme-1/locations/europe-west4"
HI = [Message("user", (TextPart("Hi"),))]


def call(model: str = "gemini-2.5-flash", *messages: Message, **parameters: Any) -> ProviderCall:
    return ProviderCall(model, messages or HI, Parameters(**parameters), UUID(int=1))


def vertex(base_url: str = "", api_key: str | None = None, **options: Any) -> HttpProvider:
    made = make_provider("vertex", ProviderConfig("vertex", base_url, api_key=api_key, options=options))
    assert isinstance(made, HttpProvider)
    return made


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
async def tokens() -> FakeTokenServer:
    return FakeTokenServer()


@pytest.fixture
async def key(tokens: FakeTokenServer, private_key: str) -> AsyncIterator[dict[str, str]]:
    """The key of a service account, as Google's console gives it."""
    async with running(tokens, "/token") as token_uri:
        yield {
            "type": "service_account",
            "project_id": "acme-1",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "robot@acme-1.iam.gserviceaccount.com",
            "token_uri": token_uri,
        }


@pytest.fixture
def key_file(key: dict[str, str], tmp_path: Path) -> str:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key))
    return str(file)


@pytest.fixture
async def server() -> FakeGeminiServer:
    return FakeGeminiServer()


@pytest.fixture
async def provider(server: FakeGeminiServer, key_file: str) -> AsyncIterator[HttpProvider]:
    async with running(server, "") as base_url:
        provider = vertex(base_url, location="europe-west4", credentials_file=key_file)
        yield provider
        await provider.aclose()


# Addresses


async def test_a_call_is_sent_as_the_sdk_would(
    server: FakeGeminiServer, tokens: FakeTokenServer, provider: HttpProvider
) -> None:
    completion = await provider.complete(call())
    async for _ in provider.stream(call()):
        pass

    whole, stream = server.requests
    assert whole.path == f"{PLACE}/publishers/google/models/gemini-2.5-flash:generateContent"
    assert (stream.path, stream.query) == (
        f"{PLACE}/publishers/google/models/gemini-2.5-flash:streamGenerateContent",
        "alt=sse",
    )
    assert whole.headers["authorization"] == stream.headers["authorization"] == "Bearer token-1"
    assert tokens.given == 1
    assert completion.usage == Usage(9, 4)


async def test_an_api_key_needs_no_project(server: FakeGeminiServer) -> None:
    async with running(server, "/v1") as base_url:
        provider = vertex(base_url, api_key="key-0123456789")
        await provider.complete(call())
        await provider.aclose()

    (request,) = server.requests
    assert request.path == "/v1/publishers/google/models/gemini-2.5-flash:generateContent"
    assert request.headers["x-goog-api-key"] == "key-0123456789"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
async def test_each_location_has_its_host(location: str | None, host: str) -> None:
    options = {"location": location} if location else {}
    provider = vertex(api_key="key", project="acme-1", **options)
    url = provider._dialect.chat(call(), stream=False).url

    assert url.host == host
    assert url.path == (
        f"/v1beta1/projects/acme-1/locations/{location or 'global'}/publishers/google/models/gemini-2.5-flash"
        ":generateContent"
    )
    await provider.aclose()


async def test_models_are_listed(server: FakeGeminiServer, provider: HttpProvider) -> None:
    assert list(await provider.models()) == ["gemini-fake-1"]
    assert server.requests[0].path == "/v1beta1/publishers/google/models"


@pytest.mark.parametrize("model", ["../x", "publishers/a/b", "endpoints/1/../2", "a:b", ""])
async def test_names_that_are_none_become_no_address(provider: HttpProvider, model: str) -> None:
    with pytest.raises(ModelNotAvailable):
        await provider.complete(call(model))


async def test_models_of_others_and_endpoints_have_their_own_place(provider: HttpProvider) -> None:
    dialect = provider._dialect
    assert dialect.chat(call("endpoints/123"), stream=False).url.path == f"{PLACE}/endpoints/123:generateContent"
    path = dialect.chat(call("publishers/acme/models/m-1"), stream=False).url.path
    assert path == f"{PLACE}/publishers/acme/models/m-1:generateContent"


# What differs


async def test_pictures_on_the_web_need_a_type(server: FakeGeminiServer, provider: HttpProvider) -> None:
    named, unnamed = (Message("user", (ImagePart(f"https://example.org/a{end}"),)) for end in (".png", ""))

    await provider.complete(call("gemini-2.5-flash", named))

    (part,) = server.requests[0].json["contents"][0]["parts"]
    assert part == {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}}
    with pytest.raises(RequestRejected, match="type of a picture"):
        await provider.complete(call("gemini-2.5-flash", unnamed))


async def test_tokens_are_counted(server: FakeGeminiServer, provider: HttpProvider) -> None:
    assert await provider.count_tokens(call(temperature=0.5)) == 7

    (request,) = server.requests
    assert request.path.endswith("/models/gemini-2.5-flash:countTokens")
    assert request.json == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"temperature": 0.5},
    }


@pytest.mark.parametrize(
    ("model", "texts", "method"),
    [
        ("text-embedding-005", 3, "predict"),
        ("gemini-embedding-001", 1, "embedContent"),
        ("gemini-embedding-2", 3, "batchEmbedContents"),
    ],
)
async def test_embeddings(
    server: FakeGeminiServer, provider: HttpProvider, model: str, texts: int, method: str
) -> None:
    messages = [Message("user", (TextPart("a"),))] * texts
    wanted = Parameters(embedding=EmbeddingParameters(2, "clustering"))

    completion = await provider.embed(ProviderCall(model, messages, wanted, UUID(int=1)))

    (request,) = server.requests
    assert request.path.rpartition(":")[2] == method
    assert len(completion.answers[0].message.parts) == texts
    assert completion.usage == (Usage(3 * texts) if method != "batchEmbedContents" else None)


# Credentials


def expire(provider: HttpProvider, left: timedelta) -> None:
    signer = provider._signer
    assert isinstance(signer, GoogleSigner)
    assert signer._credentials is not None
    signer._credentials.expiry = datetime.utcnow() + left  # noqa: DTZ003 - the library's times have no zone


async def test_a_token_is_fetched_once_for_many_calls(
    server: FakeGeminiServer, tokens: FakeTokenServer, provider: HttpProvider
) -> None:
    await asyncio.gather(*(provider.complete(call()) for _ in range(10)))

    assert tokens.given == 1
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer token-1"}


async def test_a_token_that_has_expired_is_replaced(
    server: FakeGeminiServer, tokens: FakeTokenServer, provider: HttpProvider
) -> None:
    await provider.complete(call())
    expire(provider, timedelta(seconds=-1))
    await provider.complete(call())

    assert [request.headers["authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]


async def test_calls_go_on_with_the_old_token_while_a_new_one_is_fetched(
    server: FakeGeminiServer, tokens: FakeTokenServer, provider: HttpProvider
) -> None:
    await provider.complete(call())
    expire(provider, timedelta(minutes=1))
    gate = asyncio.Event()
    tokens.script(Reply(b'{"access_token": "late", "expires_in": 3600}', gate=gate))

    first = asyncio.create_task(provider.complete(call()))
    await tokens.arrived(2)  # the loop is free: the token is fetched in a thread
    await provider.complete(call())
    gate.set()
    await first

    assert [request.headers["authorization"] for request in server.requests[1:]] == ["Bearer token-1", "Bearer late"]


async def test_an_old_token_is_used_when_there_is_no_new_one_yet(
    server: FakeGeminiServer, tokens: FakeTokenServer, provider: HttpProvider
) -> None:
    await provider.complete(call())
    expire(provider, timedelta(minutes=1))
    tokens.script(Reply.json({"error": "invalid_grant"}, 400))

    await provider.complete(call())

    assert server.requests[1].headers["authorization"] == "Bearer token-1"


async def test_credentials_that_are_refused(
    server: FakeGeminiServer, tokens: FakeTokenServer, provider: HttpProvider
) -> None:
    tokens.script(Reply.json({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400))

    with pytest.raises(AuthenticationFailed, match="no access token") as caught:
        await provider.complete(call())

    assert caught.value.provider == "vertex"
    assert server.requests == []


async def test_a_token_server_that_is_not_there(server: FakeGeminiServer, key: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps({**key, "token_uri": "http://127.0.0.1:1/token"}))
    async with running(server, "") as base_url:
        provider = vertex(base_url, credentials_file=str(file))
        with pytest.raises(ConnectionFailed, match="no access token") as caught:
            await provider.complete(call())
        await provider.aclose()

    assert not caught.value.may_be_charged


async def test_application_default_credentials(
    server: FakeGeminiServer, key_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key_file)
    async with running(server, "") as base_url:
        provider = vertex(base_url, project="other-2")
        await provider.complete(call())
        await provider.aclose()

    (request,) = server.requests
    assert request.path.startswith("/v1beta1/projects/other-2/locations/global/")
    assert request.headers["authorization"] == "Bearer token-1"


async def test_the_project_that_pays_is_named(server: FakeGeminiServer, provider: HttpProvider) -> None:
    signer = provider._signer
    assert isinstance(signer, GoogleSigner)
    assert signer._credentials is not None
    signer._credentials = signer._credentials.with_quota_project("payer-1")

    await provider.complete(call())

    assert server.requests[0].headers["x-goog-user-project"] == "payer-1"


async def test_no_credentials_at_all(server: FakeGeminiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    async with running(server, "") as base_url:
        provider = vertex(base_url, project="acme-1")
        with pytest.raises(AuthenticationFailed, match="gcloud auth application-default login"):
            await provider.complete(call())
        await provider.aclose()


# Configuration


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "project must name"),
        ({"project": "a/../b"}, "project cannot be"),
        ({"project": "a", "location": "x/y"}, "location cannot be"),
        ({"project": "a", "region": "x"}, "region is no option"),
        ({"credentials_file": "/nowhere/key.json"}, "cannot be read"),
        ({"project": 5}, "must be of type str"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        vertex(**options)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "cannot be read"),
        ("[]", "not the JSON key"),
        ('{"type": "authorized_user"}', "GOOGLE_APPLICATION_CREDENTIALS"),
        ('{"type": "service_account", "project_id": "a"}', "whole key"),
        (
            '{"type": "service_account", "project_id": "a", "private_key": "x", "client_email": "y", "token_uri": "z"}',
            "whole",
        ),
    ],
)
def test_a_file_that_is_no_key(content: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match=why):
        vertex(credentials_file=str(file))


def test_without_the_extra_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "send2llm.infrastructure.providers.google_credentials", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'send2llm\[vertex\]'"):
        vertex(project="acme-1")
    assert vertex(project="acme-1", api_key="key")
