"""Anthropic's provider as a subject of the contract suite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from making import anthropic

from send2llm.application.ports import Provider
from send2llm.domain.completion import Completion
from send2llm.infrastructure.formats.anthropic import write_reply
from send2llm.testing.anthropic_server import (
    ErrorReply,
    FakeAnthropicServer,
    Reply,
    StreamReply,
    events_of,
    running,
)
from send2llm.testing.providers import Broken, Held, Outcome

BEFORE_THE_TEXT = 2
"""Events that come with the first of a stream: a ping, and the beginning of a block."""


class Anthropic:
    format = "anthropic"
    has_refusals = False

    def __init__(self, server: FakeAnthropicServer, provider: Provider) -> None:
        self.server = server
        self.provider = provider

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["Anthropic"]:
        server = FakeAnthropicServer(models=("fake-model",))
        async with running(server, path="") as base_url:
            provider = anthropic("acme", base_url, api_key="k")
            yield cls(server, provider)
            await provider.aclose()

    def script(self, *outcomes: Outcome, stream: bool) -> None:
        self.server.script(*[_streamed(outcome) if stream else _whole(outcome) for outcome in outcomes])

    async def called(self) -> None:
        await self.server.arrived()

    async def abandoned(self) -> None:
        await self.server.disconnected.wait()


def _body(outcome: Completion) -> dict[str, object]:
    return write_reply(outcome, response_id=outcome.response_id, model=outcome.response_model)


def _whole(outcome: Outcome) -> Reply:
    if isinstance(outcome, Held):
        return Reply(_whole(outcome.outcome).body, gate=outcome.gate)
    if isinstance(outcome, Completion):
        return Reply(orjson.dumps(_body(outcome)))
    return ErrorReply(429, {"retry-after": "2"})


def _streamed(outcome: Outcome) -> StreamReply | Reply:
    if isinstance(outcome, Completion):
        return StreamReply(events_of(orjson.loads(orjson.dumps(_body(outcome)))))
    if not isinstance(outcome, Held | Broken):
        return ErrorReply(429, {"retry-after": "2"})
    whole = _streamed(outcome.outcome if isinstance(outcome, Held) else outcome.completion)
    assert isinstance(whole, StreamReply)
    after = outcome.after + BEFORE_THE_TEXT
    if isinstance(outcome, Broken):
        return StreamReply(whole.pieces[:after], cut=True)
    return StreamReply([*whole.pieces[:after], outcome.gate, *whole.pieces[after:]])
