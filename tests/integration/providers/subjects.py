"""What the contract suite tests: the fake provider, and each family with its fake on the wire."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from send2llm.application.ports import Provider
from send2llm.domain.completion import Completion
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.provider_server import FakeProviderServer, Reply, StreamReply, running
from send2llm.testing.providers import Broken, FakeProvider, Held, Outcome

MODEL = "fake-model"


class Subject(Protocol):
    """A provider under test, and how to tell it what to do."""

    provider: Provider

    def script(self, *outcomes: Outcome, stream: bool) -> None: ...

    def expected(self, outcome: Completion) -> Completion:
        """What becomes of it in this format, which may lack an id or a word for refusals."""
        ...

    async def called(self) -> None:
        """Wait until it has been called."""

    async def abandoned(self) -> None:
        """Wait until it has noticed that a call was given up."""


class InMemory:
    def __init__(self) -> None:
        self.fake = FakeProvider("acme")
        self.provider: Provider = self.fake

    def script(self, *outcomes: Outcome, stream: bool) -> None:
        self.fake.script(*outcomes)

    def expected(self, outcome: Completion) -> Completion:
        return outcome

    async def called(self) -> None:
        await self.fake.called()

    async def abandoned(self) -> None:
        assert self.fake.cancelled == 1


class Wire(Protocol):
    """How a format says what the suite wants said."""

    format: str
    path: str

    def server(self) -> FakeProviderServer: ...

    def config(self, base_url: str) -> ProviderConfig: ...

    def expected(self, outcome: Completion) -> Completion: ...

    def reply(self, outcome: Completion) -> Reply: ...

    def pieces(self, outcome: Completion) -> Sequence[bytes]:
        """The events of a stream: first the beginning, then a word each, then the rest."""
        ...

    def stream(self, pieces: Sequence[object], *, cut: bool = False) -> StreamReply: ...

    def throttled(self) -> Reply:
        """The error of a caller who shall come back in two seconds."""
        ...


class OnTheWire:
    def __init__(self, wire: Wire, server: FakeProviderServer, provider: Provider) -> None:
        self.wire = wire
        self.server = server
        self.provider = provider

    def script(self, *outcomes: Outcome, stream: bool) -> None:
        self.server.script(*((self._streamed if stream else self._whole)(outcome) for outcome in outcomes))

    def expected(self, outcome: Completion) -> Completion:
        return self.wire.expected(outcome)

    async def called(self) -> None:
        await self.server.arrived()

    async def abandoned(self) -> None:
        await self.server.disconnected.wait()

    def _whole(self, outcome: Outcome) -> Reply:
        if isinstance(outcome, Held):
            return Reply(self._whole(outcome.outcome).body, gate=outcome.gate)
        return self.wire.reply(outcome) if isinstance(outcome, Completion) else self.wire.throttled()

    def _streamed(self, outcome: Outcome) -> StreamReply | Reply:
        if isinstance(outcome, Held):
            assert isinstance(outcome.outcome, Completion)
            pieces = self.wire.pieces(outcome.outcome)
            return self.wire.stream([*pieces[: outcome.after], outcome.gate, *pieces[outcome.after :]])
        if isinstance(outcome, Broken):
            return self.wire.stream(self.wire.pieces(outcome.completion)[: outcome.after], cut=True)
        if isinstance(outcome, Completion):
            return self.wire.stream(self.wire.pieces(outcome))
        return self.wire.throttled()


@asynccontextmanager
async def in_memory() -> AsyncIterator[Subject]:
    yield InMemory()


@asynccontextmanager
async def on(wire: Wire) -> AsyncIterator[Subject]:
    server = wire.server()
    async with running(server, wire.path) as base_url:
        provider = make_provider(wire.format, wire.config(base_url))
        assert isinstance(provider, HttpProvider)
        yield OnTheWire(wire, server, provider)
        await provider.aclose()


def subject(wire: Wire | None) -> AbstractAsyncContextManager[Subject]:
    """The fake in memory, or the family that speaks the format."""
    return in_memory() if wire is None else on(wire)
