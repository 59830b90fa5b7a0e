"""What every ``Provider`` promises: the shipped fake and the real adapter keep the same word."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from uuid import UUID

import pytest
from subjects import InMemory, OnTheWire, Subject
from wires import WIRES

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Delta, Parameters, Usage
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.errors import RateLimited, StreamBroken
from send2llm.domain.message import Message, TextPart, ToolCallPart
from send2llm.testing.provider_server import running
from send2llm.testing.providers import Broken, Held, answer

CALL = ProviderCall("fake-model", [Message("user", (TextPart("Hi"),))], Parameters(), UUID(int=1))
ANSWER = answer("one two three", usage=Usage(9, 4))
TOOLS = answer("Look:", ToolCallPart("a", "f", '{"x": 1}'), ToolCallPart("b", "g", "{}"))


@pytest.fixture(params=["in memory", *WIRES])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "in memory":
        yield InMemory()
        return
    wire = WIRES[request.param]
    server = wire.server()
    async with running(server, wire.path) as base_url:
        subject = OnTheWire(wire, server, base_url)
        yield subject
        await subject.adapter.aclose()


def folded(batches: Sequence[Sequence[Delta]]) -> Completion:
    builder = CompletionBuilder()
    for batch in batches:
        for delta in batch:
            builder.add(delta)
    return builder.completion()


def without_body(completion: Completion) -> Completion:
    return Completion(completion.answers, completion.response_id, completion.response_model, completion.usage)


@pytest.mark.parametrize("outcome", [ANSWER, TOOLS, answer(refusal="No."), answer("cut", finish_reason="length")])
async def test_an_answer_is_the_same_whole_and_streamed(subject: Subject, outcome: Completion) -> None:
    subject.script(outcome, stream=False)
    assert without_body(await subject.provider.complete(CALL)) == subject.said(outcome)

    subject.script(outcome, stream=True)
    assert folded([batch async for batch in subject.provider.stream(CALL)]) == subject.said(outcome)


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
    assert folded([first, rest]) == subject.said(ANSWER)


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
    subject.script(*[ANSWER] * 20, stream=False)

    completions = await asyncio.gather(*(subject.provider.complete(CALL) for _ in range(20)))

    assert all(without_body(completion) == subject.said(ANSWER) for completion in completions)
