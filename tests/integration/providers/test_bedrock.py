"""Amazon Bedrock on the wire: how requests are signed, what is sent, and what is made of all that may come back."""

import re
import sys
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
    ContentFiltered,
    ContextLengthExceeded,
    MalformedReply,
    ModelNotAvailable,
    Overloaded,
    PermissionDenied,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    RequestRejected,
    StreamBroken,
)
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.providers import aws_signing
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.bedrock_server import (
    BEARER_KEY,
    KEY_ID,
    SECRET_KEY,
    ErrorReply,
    FakeBedrockServer,
    Reply,
    StreamReply,
    answer,
    answer_events,
    error,
    event,
    exception,
    running,
)

PROFILE_ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
HI = [Message("user", (TextPart("Hi"),))]
CALL = ProviderCall("us.anthropic.claude-fake-v1:0", HI, Parameters(), UUID(int=1))
EVENTS = answer_events([{"text": "one two"}])


def made(base_url: str, api_key: str | None = None, **options: Any) -> HttpProvider:
    config = ProviderConfig("acme", base_url, api_key=api_key, options={"region": "eu-central-1", **options})
    provider = make_provider("bedrock", config)
    assert isinstance(provider, HttpProvider)
    return provider


@pytest.fixture
async def server() -> FakeBedrockServer:
    return FakeBedrockServer()


@pytest.fixture
async def base_url(server: FakeBedrockServer) -> AsyncIterator[str]:
    async with running(server, "") as url:
        yield url


@pytest.fixture
async def provider(base_url: str) -> AsyncIterator[HttpProvider]:
    provider = made(base_url, BEARER_KEY)
    yield provider
    await provider.aclose()


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """No credentials and no region, whatever the machine has."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


async def streamed(provider: HttpProvider, call: ProviderCall = CALL) -> list[Sequence[Delta]]:
    return [batch async for batch in provider.stream(call)]


def folded(batches: Sequence[Sequence[Delta]]) -> Completion:
    builder = CompletionBuilder()
    for batch in batches:
        for delta in batch:
            builder.add(delta)
    return builder.completion()


# Who asks


async def test_requests_are_signed_with_the_credentials_of_the_environment(
    server: FakeBedrockServer, base_url: str, no_aws: pytest.MonkeyPatch
) -> None:
    no_aws.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    no_aws.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    provider = made(base_url)

    for model in (CALL.model, PROFILE_ARN):
        call = ProviderCall(model, HI, Parameters(), UUID(int=1))
        assert (await provider.complete(call)).answers[0].message.text == "Hello!"
        assert folded(await streamed(provider, call)).answers[0].message.text == "Hello!"
    assert await provider.models() == ["amazon.nova-fake-v1:0"]
    await provider.aclose()

    first = server.requests[0]
    assert re.search(r"Credential=AKIDEXAMPLE/\d{8}/eu-central-1/bedrock/aws4_request", first.headers["authorization"])
    assert "SignedHeaders=content-type;host;x-amz-date," in first.headers["authorization"]
    assert first.raw_path == b"/model/us.anthropic.claude-fake-v1%3A0/converse"
    assert server.requests[3].path == f"/model/{PROFILE_ARN}/converse-stream"


async def test_a_key_may_be_in_variables_of_ones_own(
    server: FakeBedrockServer, base_url: str, no_aws: pytest.MonkeyPatch
) -> None:
    for name, value in (("TEAM_ID", KEY_ID), ("TEAM_SECRET", SECRET_KEY), ("TEAM_TOKEN", "session-token")):
        no_aws.setenv(name, value)
    provider = made(
        base_url,
        access_key_id_variable="TEAM_ID",
        secret_access_key_variable="TEAM_SECRET",
        session_token_variable="TEAM_TOKEN",
    )

    assert (await provider.complete(CALL)).answers[0].message.text == "Hello!"
    await provider.aclose()
    assert server.requests[0].headers["x-amz-security-token"] == "session-token"
    with pytest.raises(ConfigurationError, match="two halves"):
        made(base_url, access_key_id_variable="TEAM_ID")
    no_aws.delenv("TEAM_SECRET")
    with pytest.raises(ConfigurationError, match="TEAM_SECRET"):
        made(base_url, access_key_id_variable="TEAM_ID", secret_access_key_variable="TEAM_SECRET")


async def test_without_credentials_nothing_is_sent(
    server: FakeBedrockServer, base_url: str, no_aws: pytest.MonkeyPatch
) -> None:
    provider = made(base_url)

    with pytest.raises(AuthenticationFailed, match="AWS_ACCESS_KEY_ID") as caught:
        await provider.complete(CALL)

    assert caught.value.provider == "acme"
    assert server.requests == []
    await provider.aclose()


async def test_a_profile_that_is_not_there_is_told(base_url: str, no_aws: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        made(base_url, profile="nowhere")


async def test_a_configuration_that_cannot_be_read_is_told(no_aws: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "config").write_text("[profile x\n")

    for options in ({}, {"region": "us-east-1"}):
        with pytest.raises(ConfigurationError, match="AWS configuration cannot be read"):
            make_provider("bedrock", ProviderConfig("acme", options=options))


async def test_credentials_that_cannot_be_had_are_told(
    base_url: str, no_aws: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    failing = f"{sys.executable} -c 'raise SystemExit(1)'"
    (tmp_path / "config").write_text(f"[profile broken]\ncredential_process = {failing}\n")
    provider = made(base_url, profile="broken")

    with pytest.raises(AuthenticationFailed, match="cannot be had") as caught:
        await provider.complete(CALL)

    assert caught.value.provider == "acme"
    await provider.aclose()


async def test_a_bedrock_key_is_borne_and_nothing_is_signed(server: FakeBedrockServer, provider: HttpProvider) -> None:
    await provider.complete(CALL)

    assert server.requests[0].headers["authorization"] == f"Bearer {BEARER_KEY}"
    assert "x-amz-date" not in server.requests[0].headers


async def test_the_region_makes_the_addresses(no_aws: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        make_provider("bedrock", ProviderConfig("acme", api_key="key"))
    no_aws.setenv("AWS_REGION", "ap-south-1")
    provider = make_provider("bedrock", ProviderConfig("acme", api_key="key"))

    assert isinstance(provider, HttpProvider)
    dialect = provider._dialect
    assert str(dialect.list_models().url) == "https://bedrock.ap-south-1.amazonaws.com/foundation-models"
    assert dialect.chat(CALL, stream=False).url.host == "bedrock-runtime.ap-south-1.amazonaws.com"
    await provider.aclose()


async def test_without_botocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("send2llm.infrastructure.providers.aws_signing")
    monkeypatch.setitem(sys.modules, aws_signing.__name__, None)

    with pytest.raises(ConfigurationError, match=r"send2llm\[bedrock\]"):
        make_provider("bedrock", ProviderConfig("acme", api_key="key", options={"region": "us-east-1"}))


# What is sent


async def test_the_vendor_of_a_model_whose_name_does_not_tell_it(server: FakeBedrockServer, base_url: str) -> None:
    named, unnamed = made(base_url, BEARER_KEY, vendor="anthropic"), made(base_url, BEARER_KEY)
    call = ProviderCall(PROFILE_ARN, HI, Parameters(top_k=4), UUID(int=1))

    await named.complete(call)
    with pytest.raises(RequestRejected, match="top_k"):
        await unnamed.complete(call)

    assert server.requests[0].json["additionalModelRequestFields"] == {"top_k": 4}
    await named.aclose()
    await unnamed.aclose()


async def test_embeddings_one_request_each_or_many_at_once(server: FakeBedrockServer, provider: HttpProvider) -> None:
    texts = [Message("user", (TextPart("a" * n),)) for n in (1, 2)]
    parameters = Parameters(embedding=EmbeddingParameters(dimensions=256))

    titan = await provider.embed(ProviderCall("amazon.titan-embed-text-v2:0", texts, parameters, UUID(int=1)))
    cohere = await provider.embed(ProviderCall("cohere.embed-v4:0", texts, parameters, UUID(int=1)))

    assert titan.answers[0].message.parts == cohere.answers[0].message.parts
    assert (titan.usage, cohere.usage) == (Usage(2), None)
    assert [request.path.split("/")[2] for request in server.requests] == [
        *["amazon.titan-embed-text-v2:0"] * 2,
        "cohere.embed-v4:0",
    ]


async def test_tokens_are_counted(server: FakeBedrockServer, provider: HttpProvider) -> None:
    parameters = Parameters(max_output_tokens=5, top_k=4)

    assert await provider.count_tokens(ProviderCall(CALL.model, HI, parameters, UUID(int=1))) == 1
    assert server.requests[0].json["input"]["converse"].keys() == {"messages", "additionalModelRequestFields"}


# What comes back


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (ErrorReply(429, "ThrottlingException"), RateLimited),
        (ErrorReply(429, "ModelNotReadyException"), Overloaded),
        (ErrorReply(403, "AccessDeniedException"), PermissionDenied),
        (ErrorReply(403, "UnrecognizedClientException"), AuthenticationFailed),
        (ErrorReply(403, "ExpiredTokenException"), AuthenticationFailed),
        (ErrorReply(404, "ResourceNotFoundException"), ModelNotAvailable),
        (ErrorReply(400, "ValidationException", "The provided model identifier is invalid."), ModelNotAvailable),
        (ErrorReply(400, "ValidationException", "Input is too long for requested model."), ContextLengthExceeded),
        (ErrorReply(400, "ValidationException", "The text was flagged by our safety system."), ContentFiltered),
        (ErrorReply(400, "ValidationException", "messages: at least one"), RequestRejected),
        (ErrorReply(400, "ServiceQuotaExceededException"), QuotaExhausted),
        (ErrorReply(408, "ModelTimeoutException"), Overloaded),
        (ErrorReply(424, "ModelErrorException"), Overloaded),
        (ErrorReply(500, "InternalServerException"), Overloaded),
        (ErrorReply(503, "ServiceUnavailableException"), Overloaded),
        (Reply(b'{"Message": "not authorised"}', 403), PermissionDenied),
        (Reply(b""), MalformedReply),
        (Reply(b'{"output": {}}'), MalformedReply),
        (Reply(b'{"output'), MalformedReply),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_answer_is_an_error(
    server: FakeBedrockServer, provider: HttpProvider, reply: Reply, kind: type[ProviderError], stream: bool
) -> None:
    server.script(reply)

    with pytest.raises(ProviderError) as caught:
        await (streamed(provider) if stream else provider.complete(CALL))

    assert type(caught.value) is kind
    assert caught.value.provider == "acme"


@pytest.mark.parametrize(
    ("piece", "kind", "status"),
    [
        (exception("throttlingException", "slow"), RateLimited, 429),
        (exception("modelStreamErrorException", "boom"), Overloaded, 424),
        (exception("internalServerException", "boom"), Overloaded, 500),
        (exception("serviceUnavailableException", "boom"), Overloaded, 500),
        (exception("validationException", "wrong"), RequestRejected, 400),
        (exception("validationException", "Input is too long for requested model."), ContextLengthExceeded, 400),
        (error("InternalError", "boom"), Overloaded, 500),
        (event("contentBlockDelta", {"delta": {"text": 4}, "contentBlockIndex": 0}), MalformedReply, None),
        (EVENTS[1][:-1] + b"?", MalformedReply, None),
    ],
)
async def test_an_error_in_mid_stream_comes_after_what_was_said_before(
    server: FakeBedrockServer, provider: HttpProvider, piece: bytes, kind: type[ProviderError], status: int | None
) -> None:
    server.script(StreamReply([EVENTS[0] + EVENTS[1] + piece]))
    stream = aiter(provider.stream(CALL))

    assert folded([await anext(stream)]).answers[0].message.text == "one"
    with pytest.raises(kind) as caught:
        await anext(stream)

    assert (caught.value.provider, caught.value.status) == ("acme", status)


@pytest.mark.parametrize(
    "reply",
    [
        StreamReply(EVENTS[:3]),
        StreamReply(EVENTS[:3], cut=True),
        StreamReply([*EVENTS[:3], EVENTS[3][:20]]),
        StreamReply([]),
    ],
)
async def test_a_stream_that_ends_in_the_middle_is_broken(
    server: FakeBedrockServer, provider: HttpProvider, reply: StreamReply
) -> None:
    server.script(reply)

    with pytest.raises(StreamBroken):
        await streamed(provider)


async def test_a_stream_without_its_report_has_no_usage(server: FakeBedrockServer, provider: HttpProvider) -> None:
    server.script(StreamReply(answer_events([{"text": "fine"}], usage=None)))

    completion = folded(await streamed(provider))

    assert completion.answers[0].message.text == "fine"
    assert completion.usage is None


async def test_events_keep_their_bytes(server: FakeBedrockServer, provider: HttpProvider) -> None:
    server.script(StreamReply([EVENTS[0], event("somethingNew", {}), *EVENTS[1:]]))

    batches = await streamed(provider)

    raw = b"".join(delta.raw or b"" for batch in batches for delta in batch)
    assert raw == EVENTS[0] + event("somethingNew", {}) + b"".join(EVENTS[1:])


async def test_an_enormous_piece(server: FakeBedrockServer, provider: HttpProvider) -> None:
    text = "ü" * 3_000_000
    server.script(StreamReply([b"".join(answer_events([{"text": text}]))]))

    assert folded(await streamed(provider)).answers[0].message.text == text


async def test_a_message_larger_than_any_is_malformed(server: FakeBedrockServer, provider: HttpProvider) -> None:
    server.script(StreamReply([event("contentBlockDelta", {"x": "x" * (24 * 2**20 + 1)})]))

    with pytest.raises(MalformedReply, match="InvalidPayloadLength"):
        await streamed(provider)


async def test_keys_are_in_no_error(server: FakeBedrockServer, provider: HttpProvider) -> None:
    server.script(ErrorReply(403, "AccessDeniedException", f"The key {BEARER_KEY} may not"))

    with pytest.raises(PermissionDenied) as caught:
        await provider.complete(CALL)

    assert BEARER_KEY not in repr(caught.value)


NAMES = [
    "text",
    "toolUse",
    "contentBlockIndex",
    "delta",
    "start",
    "usage",
    "inputTokens",
    "image",
    "stopReason",
    "reasoningContent",
    "output",
    "message",
    "content",
    "toolUseId",
    "name",
    "input",
    "source",
    "bytes",
]
KINDS = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "x",
    "throttlingException",
    "error",
]
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.sampled_from(KINDS), junk), max_size=6), junk)
@settings(max_examples=60)
async def test_whatever_comes_is_an_answer_or_a_clear_error(events: list[tuple[str, Any]], whole: Any) -> None:
    server = FakeBedrockServer()
    async with running(server, "") as base_url:
        provider = made(base_url, BEARER_KEY)
        server.script(StreamReply([event(kind, body) for kind, body in events]), Reply.json(whole))
        for ask in (streamed(provider), provider.complete(CALL)):
            with suppress(ProviderError):
                answered = await ask
                usage = answered.usage if isinstance(answered, Completion) else folded(answered).usage
                assert usage is None or usage.input_tokens >= 0
        await provider.aclose()


async def test_a_reply_with_nothing_in_it_is_an_answer(server: FakeBedrockServer, provider: HttpProvider) -> None:
    server.script(Reply.json(answer([])))

    assert (await provider.complete(CALL)).answers[0].message.parts == ()
