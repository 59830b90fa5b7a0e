"""A provider in memory that does what a test tells it to."""

import asyncio
import base64
import struct
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Answer, Completion, Delta, ToolCallDelta, Usage
from send2llm.domain.errors import MalformedReply, ProviderError
from send2llm.domain.message import (
    ContentPart,
    EmbeddingPart,
    ForeignPart,
    Message,
    RefusalPart,
    TextPart,
    ToolCallPart,
)

Batch = Sequence[Delta]


@dataclass(frozen=True, slots=True)
class Held:
    """An ``outcome`` that waits until the test sets the ``gate``; a stream waits after ``after`` batches."""

    outcome: Completion | ProviderError
    gate: asyncio.Event
    after: int = 0


@dataclass(frozen=True, slots=True)
class Broken:
    """A stream that gives the first ``after`` batches of ``completion`` and then fails with ``error``."""

    completion: Completion
    error: ProviderError
    after: int = 1


Outcome = Completion | ProviderError | Held | Broken


def answer(
    text: str = "",
    *tool_calls: ToolCallPart,
    finish_reason: str | None = None,
    usage: Usage | None = None,
    refusal: str = "",
    response_id: str = "fake-1",
    response_model: str = "fake-model",
) -> Completion:
    """A completion with one answer. Without ``usage`` the provider reports none."""
    parts: list[ContentPart] = [TextPart(text)] if text else []
    if refusal:
        parts.append(RefusalPart(refusal))
    message = Message("assistant", (*parts, *tool_calls))
    reason = finish_reason or ("tool_calls" if tool_calls else "stop")
    return Completion((Answer(message, reason),), response_id, response_model, usage)


def batches_of(completion: Completion) -> list[Batch]:
    """A completion as a provider streams it, one piece a batch: role, word by word, finish reason, usage."""
    batches = [
        [delta]
        for index, given in enumerate(completion.answers)
        for delta in (
            Delta(role=given.message.role, index=index),
            *_pieces(given.message, index),
            Delta(finish_reason=given.finish_reason, index=index),
        )
    ]
    if completion.usage is not None or completion.reported_cost_usd is not None:
        batches.append([Delta(usage=completion.usage, reported_cost_usd=completion.reported_cost_usd)])
    for batch in batches:
        batch[0].response_id = completion.response_id
        batch[0].response_model = completion.response_model
    return list(batches)


def _pieces(message: Message, index: int) -> list[Delta]:
    words = message.text.split(" ")
    pieces = [Delta(text=f" {word}" if n else word, index=index) for n, word in enumerate(words) if n or word]
    pieces += [Delta(refusal=part.refusal, index=index) for part in message.parts if isinstance(part, RefusalPart)]
    for n, call in enumerate(message.tool_calls):
        begin = ToolCallDelta(n, call.id, call.name, extras=call.extras)
        pieces.append(Delta(tool_calls=(begin,), index=index))
        pieces.append(Delta(tool_calls=(ToolCallDelta(n, arguments=call.arguments),), index=index))
    if message.extras:
        pieces.append(Delta(extras=message.extras, index=index))
    return pieces


class FakeProvider:
    """A ``Provider`` that gives the scripted outcomes, one a call and the last of them ever after.

    It remembers the ``calls``; ``cancelled`` counts those that were abandoned before their end.
    """

    def __init__(self, name: str = "fake", *outcomes: Outcome, models: Sequence[str] = ("fake-model",)) -> None:
        self._name = name
        self._models = models
        self._outcomes = deque(outcomes or (answer("Hello, this is a fake."),))
        self._called = asyncio.Condition()
        self.calls: list[ProviderCall] = []
        self.cancelled = 0

    @property
    def name(self) -> str:
        """The name that it has in the configuration."""
        return self._name

    def script(self, *outcomes: Outcome) -> None:
        """Forget the outcomes so far; give these from the next call on."""
        self._outcomes = deque(outcomes)

    async def called(self, times: int = 1) -> None:
        """Wait until it has been called that many times."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)

    async def complete(self, call: ProviderCall) -> Completion:
        """The next outcome, whole."""
        outcome = await self._next(call)
        try:
            if isinstance(outcome, Held):
                await outcome.gate.wait()
                outcome = outcome.outcome
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(outcome, Broken):
            raise self._named(outcome.error)
        if isinstance(outcome, ProviderError):
            raise self._named(outcome)
        return outcome

    async def stream(self, call: ProviderCall) -> AsyncIterator[Batch]:
        """The next outcome, in batches."""
        outcome = await self._next(call)
        gate = outcome.gate if isinstance(outcome, Held) else None
        after = outcome.after if isinstance(outcome, Held | Broken) else 0
        final = outcome.outcome if isinstance(outcome, Held) else outcome
        whole = final.completion if isinstance(final, Broken) else final
        try:
            for n, batch in enumerate([] if isinstance(whole, ProviderError) else batches_of(whole)):
                if gate is not None and n == after:
                    await gate.wait()
                if isinstance(final, Broken) and n == after:
                    break
                yield batch
            if gate is not None:
                await gate.wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        if isinstance(final, Broken):
            raise self._named(final.error)
        if isinstance(final, ProviderError):
            raise self._named(final)

    async def models(self) -> Sequence[str]:
        """Its models."""
        return self._models

    async def _next(self, call: ProviderCall) -> Outcome:
        async with self._called:
            self.calls.append(call)
            self._called.notify_all()
        if not self._outcomes:
            raise self._named(MalformedReply("The test has scripted no outcome for this call."))
        return self._outcomes.popleft() if len(self._outcomes) > 1 else self._outcomes[0]

    def _named(self, error: ProviderError) -> ProviderError:
        error.provider = self._name
        return error


class FakeEmbeddingProvider(FakeProvider):
    """A ``FakeProvider`` that has embeddings: errors and usage are scripted, vectors are ``vector_of`` the texts."""

    async def embed(self, call: ProviderCall) -> Completion:
        """A vector for each part of the messages, with the usage of the next outcome."""
        outcome = await self._next(call)
        if not isinstance(outcome, Completion):
            raise self._named(outcome if isinstance(outcome, ProviderError) else MalformedReply("No such script."))
        vectors = tuple(EmbeddingPart(vector_of(part)) for message in call.messages for part in message.parts)
        return replace(outcome, answers=(Answer(Message("assistant", vectors), "stop"),))


def vector_of(part: ContentPart) -> str:
    """Two coordinates: how long the text is, in characters or tokens, and a half."""
    length = len(part.body["tokens"]) if isinstance(part, ForeignPart) else len(part.text)  # type: ignore[union-attr]
    return base64.b64encode(struct.pack("<2f", length, 0.5)).decode()


class FakeProviders:
    """``Providers`` made of the given ones."""

    def __init__(self, *providers: FakeProvider) -> None:
        self._providers = {provider.name: provider for provider in providers}

    def get(self, name: str) -> FakeProvider:
        """The provider; raises ``KeyError`` for a name that is not there."""
        return self._providers[name]
