"""Ollama on the wire: what is sent, and what is made of all that may come back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Delta, EmbeddingParameters, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    ProviderError,
    RequestRejected,
    StreamBroken,
)
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.ollama_server import (
    ErrorReply,
    FakeOllamaServer,
    Reply,
    StreamReply,
    answer_lines,
    line,
    running,
)

HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("qwen3", HI, Parameters(), UUID(int=1))
LINES = answer_lines({"content": "one two"})


def made(base_url: str, api_key: str | None = None, **options: Any) -> HttpProvider:
    provider = make_provider("ollama", ProviderConfig("acme", base_url, api_key=api_key, options=options))
    assert isinstance(provider, HttpProvider)
    return provider


@pytest.fixture
async def server() -> FakeOllamaServer:
    return FakeOllamaServer()


@pytest.fixture
async def base_url(server: FakeOllamaServer) -> AsyncIterator[str]:
    async with running(server, "") as url:
        yield url


@pytest.fixture
async def provider(base_url: str) -> AsyncIterator[HttpProvider]:
    provider = made(base_url)
    yield provider
    await provider.aclose()


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> list[Sequence[Delta]]:
    return [batch async for batch in provider.stream(call)]


def folded(batches: Sequence[Sequence[Delta]]) -> Completion:
    builder = CompletionBuilder()
    for batch in batches:
        for delta in batch:
            builder.add(delta)
    return builder.completion()


async def test_a_call_is_sent_as_the_client_would(server: FakeOllamaServer, provider: HttpProvider) -> None:
    await provider.complete(CALL)
    await streamed(provider)

    whole, stream = server.requests
    assert (whole.method, whole.path) == ("POST", "/api/chat")
    assert "authorization" not in whole.headers
    assert (whole.json["stream"], stream.json["stream"]) == (False, True)
    assert (whole.json["truncate"], whole.json["shift"]) == (False, False)


async def test_what_it_needs_can_be_configured(server: FakeOllamaServer, base_url: str) -> None:
    provider = made(base_url, "ollama-key-0123", num_ctx=32768, keep_alive="1h", truncate=True)

    await provider.complete(CALL)
    await provider.aclose()

    (request,) = server.requests
    assert request.headers["authorization"] == "Bearer ollama-key-0123"
    assert request.json["options"] == {"num_ctx": 32768}
    assert (request.json["keep_alive"], request.json["truncate"], request.json["shift"]) == ("1h", True, True)
    with pytest.raises(ConfigurationError, match="num_ctx must be of type int"):
        made(base_url, num_ctx="many")


async def test_it_is_found_where_it_usually_listens() -> None:
    provider = made("")

    assert str(provider._dialect.list_models().url) == "http://127.0.0.1:11434/api/tags"
    await provider.aclose()


async def test_embeddings_and_models(server: FakeOllamaServer, provider: HttpProvider) -> None:
    texts = [Message("user", (TextPart("a" * (n + 1)),)) for n in range(200)]
    parameters = Parameters(embedding=EmbeddingParameters(dimensions=2))

    completion = await provider.embed(ProviderCall("embeddinggemma", texts, parameters, UUID(int=1)))

    assert len(completion.answers[0].message.parts) == 200
    assert completion.usage == Usage(200)
    assert server.requests[0].json["truncate"] is False
    assert "shift" not in server.requests[0].json
    assert await provider.models() == ["fake-model:latest"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (ErrorReply(404, "model 'qwen3' not found"), ModelNotAvailable),
        (ErrorReply(400, '"qwen3" does not support thinking'), RequestRejected),
        (ErrorReply(400, "the input length exceeds the context length"), ContextLengthExceeded),
        (ErrorReply(401, "unauthorized"), AuthenticationFailed),
        (ErrorReply(500, "llama runner process has terminated"), Overloaded),
        (ErrorReply(503, "server busy, please try again. maximum pending requests exceeded"), Overloaded),
        (Reply(b"404 page not found", 404, content_type="text/plain"), ModelNotAvailable),
        (Reply(b'{"error": "boom"}'), Overloaded),
        (Reply(b""), MalformedReply),
        (Reply(b'{"done": true}'), MalformedReply),
        (Reply(b'{"message'), MalformedReply),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_answer_is_an_error(
    server: FakeOllamaServer, provider: HttpProvider, reply: Reply, kind: type[ProviderError], stream: bool
) -> None:
    server.script(reply)

    with pytest.raises(ProviderError) as caught:
        await (streamed(provider) if stream else provider.complete(CALL))

    assert type(caught.value) is kind
    assert caught.value.provider == "acme"


@pytest.mark.parametrize(
    ("piece", "kind", "words"),
    [
        (line({"error": "boom"}), Overloaded, "boom"),
        (line({"error": "an error was encountered: context length exceeded"}), ContextLengthExceeded, "context length"),
        (line({"message": {"content": 4}}), MalformedReply, "content"),
        (b"{nonsense}\n", MalformedReply, "not JSON"),
        (b"[1]\n", MalformedReply, "not an object"),
    ],
)
async def test_an_error_in_mid_stream_comes_after_what_was_said_before(
    server: FakeOllamaServer, provider: HttpProvider, piece: bytes, kind: type[ProviderError], words: str
) -> None:
    server.script(StreamReply([LINES[0] + piece]))
    stream = aiter(provider.stream(CALL))

    assert folded([await anext(stream)]).answers[0].message.text == "one"
    with pytest.raises(kind, match=words) as caught:
        await anext(stream)

    assert caught.value.provider == "acme"


@pytest.mark.parametrize(
    "reply",
    [
        StreamReply(LINES[:2]),
        StreamReply(LINES[:2], cut=True),
        StreamReply([LINES[0], b"\n\n"]),
        StreamReply([LINES[0], LINES[1][:20]]),
        StreamReply([]),
    ],
)
async def test_a_stream_that_ends_in_the_middle_is_broken(
    server: FakeOllamaServer, provider: HttpProvider, reply: StreamReply
) -> None:
    server.script(reply)

    with pytest.raises((StreamBroken, MalformedReply)) as caught:
        await streamed(provider)

    assert caught.value.retryable


async def test_lines_keep_their_bytes_and_the_last_needs_no_end(
    server: FakeOllamaServer, provider: HttpProvider
) -> None:
    whole = b"".join(LINES)[:-1]
    server.script(StreamReply([b"\n", whole[:9], whole[9:]]))

    batches = await streamed(provider)

    assert b"".join(delta.raw or b"" for batch in batches for delta in batch) == whole
    assert folded(batches).usage == Usage(9, 4)


async def test_a_stream_without_usage(server: FakeOllamaServer, provider: HttpProvider) -> None:
    server.script(StreamReply.of("fine", usage=None))

    assert folded(await streamed(provider)).usage is None


async def test_an_enormous_piece(server: FakeOllamaServer, provider: HttpProvider) -> None:
    text = "ü" * 3_000_000
    server.script(StreamReply.of(text))

    assert folded(await streamed(provider)).answers[0].message.text == text


async def test_a_line_without_end_is_given_up(server: FakeOllamaServer, provider: HttpProvider) -> None:
    server.script(StreamReply([b'{"message": {"content": "' + b"x" * (17 * 2**20)]))

    with pytest.raises(MalformedReply, match="more than"):
        await streamed(provider)


NAMES = [
    *("message", "content", "thinking", "tool_calls", "function", "arguments", "name", "id", "done", "done_reason"),
    *("model", "created_at", "prompt_eval_count", "eval_count", "error", "role"),
]
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(junk, max_size=6), junk)
@settings(max_examples=60)
async def test_whatever_comes_is_an_answer_or_a_clear_error(lines: list[Any], whole: Any) -> None:
    server = FakeOllamaServer()
    async with running(server, "") as base_url:
        provider = made(base_url)
        server.script(StreamReply([line(body) for body in lines]), Reply.json(whole))
        for ask in (streamed(provider), provider.complete(CALL)):
            with suppress(ProviderError):
                answered = await ask
                usage = answered.usage if isinstance(answered, Completion) else folded(answered).usage
                assert usage is None or usage.input_tokens >= 0
        await provider.aclose()
