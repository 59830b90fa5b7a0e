"""What every ``Provider`` promises: the shipped fake and the real adapter keep the same word."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

import orjson
import pytest
from making import made, openai_compatible

from send2llm.application.ports import Provider, ProviderCall
from send2llm.domain.completion import Completion, Delta, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import RateLimited, StreamBroken
from send2llm.domain.message import Message, TextPart, ToolCallPart
from send2llm.infrastructure.formats.openai_chat import DONE, write_chunk, write_reply
from send2llm.testing import responses_server
from send2llm.testing.azure_server import FakeAzureServer
from send2llm.testing.mistral_server import FakeMistralServer
from send2llm.testing.openai_server import ErrorReply, FakeOpenAIServer, Reply, StreamReply, running
from send2llm.testing.provider_server import FakeProviderServer, Reply as PlainReply, StreamReply as PlainStreamReply
from send2llm.testing.providers import Broken, FakeProvider, Held, Outcome, answer, batches_of
from send2llm.testing.responses_server import FakeResponsesServer, events_of

CALL = ProviderCall("fake-model", [Message("user", (TextPart("Hi"),))], Parameters(), UUID(int=1))
ANSWER = answer("one two three", usage=Usage(9, 4))
TOOLS = answer("Look:", ToolCallPart("a", "f", '{"x": 1}'), ToolCallPart("b", "g", "{}"))


class Subject(Protocol):
    """A provider under test, and how to tell it what to do."""

    provider: Provider

    def script(self, outcome: Outcome, *, stream: bool) -> None: ...

    async def abandoned(self) -> None:
        """Wait until it has noticed that a call was given up."""


class InMemory:
    def __init__(self) -> None:
        self.fake = FakeProvider("acme")
        self.provider: Provider = self.fake

    def script(self, outcome: Outcome, *, stream: bool) -> None:
        self.fake.script(outcome)

    async def abandoned(self) -> None:
        assert self.fake.cancelled == 1


class OnTheWire:
    def __init__(self, server: FakeProviderServer, provider: Provider) -> None:
        self.server = server
        self.provider = provider

    def script(self, outcome: Outcome, *, stream: bool) -> None:
        self.server.script(self.streamed(outcome) if stream else self.whole(outcome))

    def whole(self, outcome: Outcome) -> PlainReply:
        return _whole(outcome)

    def streamed(self, outcome: Outcome) -> PlainReply | PlainStreamReply:
        return _streamed(outcome)

    async def abandoned(self) -> None:
        await self.server.disconnected.wait()


def _whole(outcome: Outcome) -> Reply:
    if isinstance(outcome, Held):
        return Reply(_whole(outcome.outcome).body, gate=outcome.gate)
    if isinstance(outcome, Completion):
        return Reply(orjson.dumps(write_reply(outcome, created=1)))
    return ErrorReply(429, {"retry-after": "2"})


def _streamed(outcome: Outcome) -> StreamReply | Reply:
    if isinstance(outcome, Held):
        whole = _streamed(outcome.outcome)
        assert isinstance(whole, StreamReply)
        return StreamReply([*whole.pieces[: outcome.after], outcome.gate, *whole.pieces[outcome.after :]])
    if isinstance(outcome, Broken):
        whole = _streamed(outcome.completion)
        assert isinstance(whole, StreamReply)
        return StreamReply(whole.pieces[: outcome.after], cut=True)
    if isinstance(outcome, Completion):
        ids = {"response_id": outcome.response_id, "model": outcome.response_model, "created": 1}
        chunks = [write_chunk(delta, **ids) for batch in batches_of(outcome) for delta in batch]  # type: ignore[arg-type]
        return StreamReply([*chunks, DONE])
    return ErrorReply(429, {"retry-after": "2"})


@asynccontextmanager
async def in_memory() -> AsyncIterator[Subject]:
    yield InMemory()


@asynccontextmanager
async def openai() -> AsyncIterator[Subject]:
    server = FakeOpenAIServer(models=("fake-model",))
    async with running(server) as base_url:
        provider = openai_compatible("acme", base_url)
        yield OnTheWire(server, provider)
        await provider.aclose()


@asynccontextmanager
async def azure() -> AsyncIterator[Subject]:
    server = FakeAzureServer()
    async with running(server, "") as base_url:
        provider = made("azure", "acme", base_url, api_key=server.key)
        yield OnTheWire(server, provider)
        await provider.aclose()


@asynccontextmanager
async def mistral() -> AsyncIterator[Subject]:
    server = FakeMistralServer()
    async with running(server) as base_url:
        provider = made("mistral", "acme", base_url)
        yield OnTheWire(server, provider)
        await provider.aclose()


class ResponsesOnTheWire(OnTheWire):
    """The same outcomes in the words of OpenAI's responses."""

    def whole(self, outcome: Outcome) -> PlainReply:
        if isinstance(outcome, Held):
            return PlainReply(self.whole(outcome.outcome).body, gate=outcome.gate)
        return PlainReply.json(response_of(outcome)) if isinstance(outcome, Completion) else _whole(outcome)

    def streamed(self, outcome: Outcome) -> PlainReply | PlainStreamReply:
        if isinstance(outcome, Completion):
            return PlainStreamReply([responses_server.event(one) for one in events_of(response_of(outcome))])
        if isinstance(outcome, Held | Broken):
            final = outcome.outcome if isinstance(outcome, Held) else outcome.completion
            pieces = self.streamed(final).pieces  # type: ignore[union-attr,arg-type]
            begin = outcome.after + 3  # before the first text there are more events than in chat completions
            if isinstance(outcome, Broken):
                return PlainStreamReply(pieces[:begin], cut=True)
            return PlainStreamReply([*pieces[:begin], outcome.gate, *pieces[begin:]])
        return _whole(outcome)


def response_of(completion: Completion) -> dict[str, Any]:
    """Items without names of their own, which would be kept."""
    (given,) = completion.answers
    text, refusal = given.message.text, "".join(getattr(part, "refusal", "") for part in given.message.parts)
    said = responses_server.message(text or None, refusal=refusal or None)
    calls = [responses_server.function_call(call.name, call.arguments, call.id) for call in given.message.tool_calls]
    items = [{name: item[name] for name in item if name != "id"} for item in [said, *calls]]
    reason = {"reason": "max_output_tokens"} if given.finish_reason == "length" else None
    usage = completion.usage
    return responses_server.response(
        *items,
        id=completion.response_id,
        model=completion.response_model,
        status="incomplete" if reason else "completed",
        incomplete_details=reason,
        usage=usage and {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
    )


@asynccontextmanager
async def openai_responses() -> AsyncIterator[Subject]:
    server = FakeResponsesServer(models=("fake-model",))
    async with running(server) as base_url:
        provider = made("openai-responses", "acme", base_url)
        yield ResponsesOnTheWire(server, provider)
        await provider.aclose()


SUBJECTS = {subject.__name__: subject for subject in (in_memory, openai, azure, mistral, openai_responses)}


@pytest.fixture(params=SUBJECTS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with SUBJECTS[request.param]() as subject:
        yield subject


def folded(batches: Sequence[Sequence[Delta]]) -> Completion:
    builder = CompletionBuilder()
    for batch in batches:
        for delta in batch:
            builder.add(delta)
    return plain(builder.completion())


def plain(completion: Completion) -> Completion:
    """Without what depends on the wire format."""
    answers = [replace(answer, message=replace(answer.message, format="", extras={})) for answer in completion.answers]
    return Completion(tuple(answers), completion.response_id, completion.response_model, completion.usage)


@pytest.mark.parametrize("outcome", [ANSWER, TOOLS, answer(refusal="No."), answer("cut", finish_reason="length")])
async def test_an_answer_is_the_same_whole_and_streamed(subject: Subject, outcome: Completion) -> None:
    subject.script(outcome, stream=False)
    assert plain(await subject.provider.complete(CALL)) == plain(outcome)

    subject.script(outcome, stream=True)
    assert folded([batch async for batch in subject.provider.stream(CALL)]) == plain(outcome)


async def test_batches_are_never_empty(subject: Subject) -> None:
    subject.script(ANSWER, stream=True)

    assert all([len(batch) > 0 async for batch in subject.provider.stream(CALL)])


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_name_the_provider_and_the_wait(subject: Subject, stream: bool) -> None:
    subject.script(RateLimited("no", status=429, retry_after=2), stream=stream)

    with pytest.raises(RateLimited) as caught:
        await (anext(aiter(subject.provider.stream(CALL))) if stream else subject.provider.complete(CALL))

    assert (caught.value.provider, caught.value.status, caught.value.retry_after) == ("acme", 429, 2)


async def test_a_stream_gives_what_came_before_it_broke(subject: Subject) -> None:
    subject.script(Broken(ANSWER, StreamBroken("broken"), after=3), stream=True)
    came: list[Sequence[Delta]] = []

    async def listen() -> None:
        async for batch in subject.provider.stream(CALL):
            came.append(batch)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(StreamBroken) as caught:
        await listen()

    assert folded(came).answers[0].message.text == "one two"
    assert caught.value.provider == "acme"


async def test_pieces_come_while_the_rest_is_not_there_yet(subject: Subject) -> None:
    gate = asyncio.Event()
    subject.script(Held(ANSWER, gate, after=2), stream=True)

    async with aclosing(subject.provider.stream(CALL)) as stream:  # type: ignore[type-var]
        first = []
        while not any(delta.text for delta in first):
            first += await anext(stream)
        assert "".join(delta.text for delta in first) == "one"
        gate.set()
        rest = [delta async for batch in stream for delta in batch]
    assert folded([first, rest]) == plain(ANSWER)


async def test_closing_a_stream_gives_the_call_up(subject: Subject) -> None:
    subject.script(Held(ANSWER, asyncio.Event(), after=2), stream=True)
    stream = subject.provider.stream(CALL)
    await anext(stream)

    await stream.aclose()  # type: ignore[attr-defined]

    await subject.abandoned()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_call_is_given_up(subject: Subject, stream: bool) -> None:
    subject.script(Held(ANSWER, asyncio.Event(), after=1), stream=stream)

    async def call() -> None:
        if stream:
            async for _ in subject.provider.stream(CALL):
                begun.set()
        else:
            await subject.provider.complete(CALL)

    begun = asyncio.Event()
    task = asyncio.create_task(call())
    if stream:
        await begun.wait()
    elif isinstance(subject, InMemory):
        await subject.fake.called()
    elif isinstance(subject, OnTheWire):
        await subject.server.arrived()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await subject.abandoned()


async def test_models_are_listed(subject: Subject) -> None:
    assert list(await subject.provider.models()) == ["fake-model"]


async def test_calls_may_run_side_by_side(subject: Subject) -> None:
    if isinstance(subject, OnTheWire):
        subject.server.script(*[subject.whole(ANSWER)] * 20)
    else:
        subject.script(ANSWER, stream=False)

    completions = await asyncio.gather(*(subject.provider.complete(CALL) for _ in range(20)))

    assert all(plain(completion) == plain(ANSWER) for completion in completions)
