"""Providers under the contract: the fake in memory, and adapters whose fakes on the wire are told what to say."""

from typing import Any, ClassVar, Protocol

import orjson
from making import openai_compatible

from send2llm.application.ports import Provider
from send2llm.domain.completion import Completion
from send2llm.domain.errors import ProviderError
from send2llm.infrastructure.formats.openai_chat import DONE, write_chunk, write_reply
from send2llm.infrastructure.providers.http_provider import HttpProvider
from send2llm.testing.openai_server import ErrorReply, FakeOpenAIServer
from send2llm.testing.provider_server import Behaviour, FakeProviderServer, Reply, StreamReply
from send2llm.testing.providers import Broken, FakeProvider, Held, Outcome, batches_of


class Subject(Protocol):
    """A provider under test, and how to tell it what to do."""

    provider: Provider

    def script(self, *outcomes: Outcome, stream: bool) -> None: ...

    def said(self, completion: Completion) -> Completion:
        """What becomes of it in the provider's format."""

    async def abandoned(self) -> None:
        """Wait until it has noticed that a call was given up."""


class InMemory:
    def __init__(self) -> None:
        self.fake = FakeProvider("acme")
        self.provider: Provider = self.fake

    def script(self, *outcomes: Outcome, stream: bool) -> None:
        self.fake.script(*outcomes)

    def said(self, completion: Completion) -> Completion:
        return completion

    async def abandoned(self) -> None:
        assert self.fake.cancelled == 1


class Wire(Protocol):
    """A format: how its fake says something. The outcome that is an error is "come back in two seconds"."""

    path: str
    error: Reply
    settings: dict[str, Any]
    """What the configuration of the provider has beside its address."""
    model = "fake-model"
    embedding_model: str | None = "fake-model"
    """``None``: it has no embeddings."""
    stream_type = "text/event-stream"

    def server(self) -> FakeProviderServer: ...

    def provider(self, base_url: str) -> HttpProvider: ...

    def whole(self, completion: Completion) -> bytes: ...

    def events(self, completion: Completion) -> list[bytes]:
        """The first is the beginning, then comes one for each word."""

    def said(self, completion: Completion) -> Completion: ...


class OpenAI(Wire):
    path = "/v1"
    settings: ClassVar[dict[str, Any]] = {"format": "openai"}
    error = ErrorReply(429, {"retry-after": "2"})

    def server(self) -> FakeProviderServer:
        return FakeOpenAIServer(models=("fake-model",))

    def provider(self, base_url: str) -> HttpProvider:
        return openai_compatible("acme", base_url)

    def whole(self, completion: Completion) -> bytes:
        return orjson.dumps(write_reply(completion, created=1))

    def events(self, completion: Completion) -> list[bytes]:
        ids = {"response_id": completion.response_id, "model": completion.response_model, "created": 1}
        return [*(write_chunk(delta, **ids) for batch in batches_of(completion) for delta in batch), DONE]  # type: ignore[arg-type]

    def said(self, completion: Completion) -> Completion:
        return completion


class OnTheWire:
    def __init__(self, wire: Wire, server: FakeProviderServer, base_url: str) -> None:
        self.wire = wire
        self.server = server
        self.adapter = wire.provider(base_url)
        self.provider: Provider = self.adapter

    def script(self, *outcomes: Outcome, stream: bool) -> None:
        self.server.script(*(self._streamed(one) if stream else self._whole(one) for one in outcomes))

    def said(self, completion: Completion) -> Completion:
        return self.wire.said(completion)

    async def abandoned(self) -> None:
        await self.server.disconnected.wait()

    def _whole(self, outcome: Outcome) -> Reply:
        if isinstance(outcome, Held):
            return Reply(self._whole(outcome.outcome).body, gate=outcome.gate)
        return Reply(self.wire.whole(outcome)) if isinstance(outcome, Completion) else self.wire.error

    def _streamed(self, outcome: Outcome) -> Behaviour:
        if isinstance(outcome, ProviderError):
            return self.wire.error
        if isinstance(outcome, Completion):
            return StreamReply(self.wire.events(outcome))
        if isinstance(outcome, Broken):
            return StreamReply(self.wire.events(outcome.completion)[: outcome.after], cut=True)
        assert isinstance(outcome.outcome, Completion)
        events = self.wire.events(outcome.outcome)
        return StreamReply([*events[: outcome.after], outcome.gate, *events[outcome.after :]])
