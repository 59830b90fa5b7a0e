"""Azure OpenAI: its addresses, its keys, what its content filter says, its errors."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import openai
import orjson
import pytest
from making import made

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ContentFiltered,
    ContextLengthExceeded,
    ModelNotAvailable,
    Overloaded,
    ProviderError,
    RateLimited,
    RequestRejected,
)
from send2llm.domain.message import EmbeddingPart, ImagePart, Message, TextPart
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.azure_server import CLEAN, FILTERED, FakeAzureServer, filtered_completion
from send2llm.testing.openai_server import USAGE, Reply, StreamReply, completion_chunks, event, running, vector_of

HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("fake-model", HI, Parameters(max_output_tokens=9), UUID(int=1))
DATED = {"api_version": "2024-10-21"}


@pytest.fixture
async def server() -> FakeAzureServer:
    return FakeAzureServer(deployments=("fake-model", "dotted-4.1"))


@pytest.fixture
async def address(server: FakeAzureServer) -> AsyncIterator[str]:
    async with running(server, "") as url:
        yield url


class Make:
    """Makes providers, and closes them."""

    def __init__(self, address: str, key: str) -> None:
        self.made: list[HttpProvider] = []
        self._address = address
        self._key = key

    def __call__(self, path: str = "", **config: Any) -> HttpProvider:
        key = None if "headers" in config else self._key
        self.made.append(made("azure", "blue", self._address + path, api_key=config.pop("api_key", key), **config))
        return self.made[-1]


@pytest.fixture
async def make(server: FakeAzureServer, address: str) -> AsyncIterator[Make]:
    make = Make(address, server.key)
    yield make
    for provider in make.made:
        await provider.aclose()


# Where it is


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
async def test_the_newer_way_is_openais_own(server: FakeAzureServer, make: Make, path: str) -> None:
    await make(path).complete(CALL)

    (request,) = server.requests
    assert (request.path, request.query) == ("/openai/v1/chat/completions", "")
    assert (request.json["model"], request.json["max_completion_tokens"]) == ("fake-model", 9)
    assert request.headers["api-key"] == server.key
    assert "authorization" not in request.headers


@pytest.mark.parametrize("path", ["", "/openai", "/openai/v1"])
async def test_with_a_dated_version_each_deployment_has_an_address(
    server: FakeAzureServer, make: Make, path: str
) -> None:
    provider = make(path, options=DATED)
    await provider.complete(CALL)
    await provider.complete(ProviderCall("dotted-4.1", HI, Parameters(), UUID(int=1)))
    await provider.models()

    assert [(request.path, request.query) for request in server.requests] == [
        ("/openai/deployments/fake-model/chat/completions", "api-version=2024-10-21"),
        ("/openai/deployments/dotted-4.1/chat/completions", "api-version=2024-10-21"),
        ("/openai/models", "api-version=2024-10-21"),
    ]


async def test_the_newer_way_has_a_preview(server: FakeAzureServer, make: Make) -> None:
    await make(options={"api_version": "preview"}).complete(CALL)

    assert (server.requests[0].path, server.requests[0].query) == (
        "/openai/v1/chat/completions",
        "api-version=preview",
    )


@pytest.mark.parametrize("model", ["../models", "..", ".", "a/b", "a b", "a?b", "", "é"])
async def test_a_model_cannot_lead_elsewhere(server: FakeAzureServer, make: Make, model: str) -> None:
    with pytest.raises(ModelNotAvailable, match="cannot be the name of a deployment"):
        await make(options=DATED).complete(ProviderCall(model, HI, Parameters(), UUID(int=1)))
    assert server.requests == []


async def test_a_token_of_entra_goes_as_a_header(server: FakeAzureServer, make: Make) -> None:
    await make(headers={"Authorization": f"Bearer {server.key}"}).complete(CALL)

    assert "api-key" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"base_url": ""}, "providers.blue needs a base_url"),
        ({"base_url": "https://a", "options": {"api_versoin": "1"}}, "Did you mean api_version?"),
        ({"base_url": "https://a", "options": {"api_version": 2024}}, "must be of type str"),
    ],
)
async def test_a_wrong_configuration_is_told(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made("azure", "blue", **config)


# What comes back


async def test_what_the_filter_found_is_passed_on(server: FakeAzureServer, make: Make) -> None:
    completion = await make().complete(CALL)

    said = orjson.loads(completion.body)
    assert completion.answers[0].message.text == "Hello!"
    assert said["choices"][0]["content_filter_results"] == CLEAN
    assert said["prompt_filter_results"][0]["content_filter_results"] == CLEAN
    assert completion.format == "openai"


async def test_a_stream_may_begin_without_choices(server: FakeAzureServer, make: Make) -> None:
    builder, raw = CompletionBuilder(), []
    async for batch in make(options=DATED).stream(CALL):
        for delta in batch:
            builder.add(delta)
            raw.append(delta.raw)

    completion = builder.completion()
    assert (completion.answers[0].message.text, completion.answers[0].finish_reason) == ("Hello!", "stop")
    assert (completion.usage, completion.response_id) == (Usage(9, 4), "chatcmpl-fake")
    assert b'"prompt_filter_results"' in (raw[0] or b"")
    assert b'"content_filter_results"' in (raw[-2] or b"")


async def test_an_asynchronous_filter_adds_findings_without_a_delta(server: FakeAzureServer, make: Make) -> None:
    found = {"index": 0, "finish_reason": None, "content_filter_results": CLEAN, "content_filter_offsets": {}}
    late = {"id": "", "object": "", "created": 0, "model": "", "choices": [found]}
    chunks = completion_chunks("Hello there", usage=USAGE)
    server.script(StreamReply([event(one) for one in [*chunks[:-1], late, chunks[-1]]]))
    builder = CompletionBuilder()

    async for batch in make().stream(CALL):  # and there is no end mark: all answers have ended
        for delta in batch:
            builder.add(delta)

    assert builder.completion().answers[0].message.text == "Hello there"


async def test_images_are_sent_as_openai_has_them(server: FakeAzureServer, make: Make) -> None:
    message = Message("user", (TextPart("See"), ImagePart("data:image/png;base64,AA==", "low")))

    await make().complete(ProviderCall("fake-model", [message], Parameters(), UUID(int=1)))

    assert server.requests[0].json["messages"][0]["content"][1] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"},
    }


async def test_texts_become_vectors(server: FakeAzureServer, make: Make) -> None:
    completion = await make(options=DATED).embed(CALL)

    assert server.requests[0].path == "/openai/deployments/fake-model/embeddings"
    assert isinstance(completion.answers[0].message.parts[0], EmbeddingPart)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, FILTERED, ContentFiltered),
        (400, {"code": "context_length_exceeded", "message": "too long"}, ContextLengthExceeded),
        (400, {"code": "OperationNotSupported", "message": "does not work with the model"}, RequestRejected),
        (404, {"code": "DeploymentNotFound", "message": "does not exist"}, ModelNotAvailable),
        (429, {"code": "429", "message": "Please retry after 6 seconds."}, RateLimited),
        (500, {"code": "InternalServerError", "message": "sorry"}, Overloaded),
    ],
)
async def test_errors_are_of_the_right_kind(
    server: FakeAzureServer, make: Make, stream: bool, status: int, error: dict[str, Any], kind: type[ProviderError]
) -> None:
    server.script(Reply.json({"error": error}, status))

    with pytest.raises(kind) as caught:
        await (anext(aiter(make().stream(CALL))) if stream else make().complete(CALL))

    assert (caught.value.provider, caught.value.status) == ("blue", status)
    assert caught.value.retry_after == (6 if kind is RateLimited else None)


async def test_a_wrong_key_and_a_wrong_deployment_are_told(make: Make) -> None:
    with pytest.raises(AuthenticationFailed):
        await make(api_key="azure-other-key").complete(CALL)
    with pytest.raises(ModelNotAvailable, match="does not exist"):
        await make().complete(ProviderCall("gpt-9", HI, Parameters(), UUID(int=1)))


# The official SDK judges the fake


@pytest.mark.parametrize("version", ["2024-10-21", "2025-04-01-preview"])
async def test_the_official_sdk_understands_the_fake(server: FakeAzureServer, address: str, version: str) -> None:
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=address, api_version=version, api_key=server.key, max_retries=0
    ) as client:
        whole = await client.chat.completions.create(model="fake-model", messages=[{"role": "user", "content": "Hi"}])
        stream = await client.chat.completions.create(
            model="fake-model",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        found = await client.embeddings.create(model="fake-model", input=["one"])
        server.script(Reply.json({"error": FILTERED}, 400))
        with pytest.raises(openai.BadRequestError) as filtered:
            await client.chat.completions.create(model="fake-model", messages=[{"role": "user", "content": "Hi"}])
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "Hi"}])

    assert whole.choices[0].message.content == "Hello!"
    assert whole.model_extra == {"prompt_filter_results": filtered_completion()["prompt_filter_results"]}
    assert chunks[0].choices == []
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello!"
    assert chunks[-1].usage is not None
    assert found.data[0].embedding == vector_of("one")
    assert filtered.value.code == "content_filter"
    assert {request.path.rpartition("/deployments/")[0] for request in server.requests} == {"/openai"}


async def test_the_official_sdk_finds_the_newer_way_too(server: FakeAzureServer, address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{address}/openai/v1", api_key=server.key, max_retries=0) as client:
        whole = await client.chat.completions.create(model="fake-model", messages=[{"role": "user", "content": "Hi"}])

    assert whole.choices[0].message.content == "Hello!"
