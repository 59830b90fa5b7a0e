"""How many tokens a request has: by the provider's word, else by estimate."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from house import user

from send2llm.application.context import Context
from send2llm.application.handler_chain import HandlerChain
from send2llm.application.handlers import Handler
from send2llm.application.patience import Timeouts
from send2llm.application.ports import ProviderCall
from send2llm.application.token_counts import CountTokens, TokenCount, TokenCounts, estimated_tokens
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import InvalidRequest, ModelNotAvailable, Overloaded, ProviderError, UnknownModel
from send2llm.domain.routing import ModelNames
from send2llm.infrastructure.system import TimeOrderedIdentifiers
from send2llm.testing.providers import FakeProvider, FakeProviders

MESSAGES = [user("How many am I?")]
GUESS = estimated_tokens(MESSAGES, Parameters())


class Counting(FakeProvider):
    """A provider that counts, or fails, or never answers."""

    def __init__(self, answer: int | ProviderError | None, *, never: bool = False) -> None:
        super().__init__("counting")
        self._answer = answer
        self._never = never

    async def count_tokens(self, call: ProviderCall) -> int | None:
        self.calls.append(call)
        if self._never:
            await asyncio.Event().wait()
        if isinstance(self._answer, ProviderError):
            raise self._answer
        return self._answer


async def count(
    provider: FakeProvider, model: str = "fake-model", handlers: Sequence[Handler] = (), **parameters: object
) -> TokenCount:
    chain = HandlerChain(handlers, surroundings=None)  # type: ignore[arg-type]
    names = ModelNames({provider.name: ()}, {"route": [f"{provider.name}/first", f"{provider.name}/second"]})
    counts = TokenCounts(names, FakeProviders(provider), Timeouts(first_token=0.01), chain)
    context = Context(correlation_id=TimeOrderedIdentifiers().new())
    return await counts.count(CountTokens(model=model, messages=MESSAGES, parameters=Parameters(**parameters)), context)


async def test_a_provider_that_counts_is_asked() -> None:
    provider = Counting(14)
    assert await count(provider, "route") == TokenCount(14, estimated=False)
    assert (provider.calls[0].model, provider.calls[0].messages) == ("first", MESSAGES)


@pytest.mark.parametrize(
    "provider",
    [FakeProvider(), Counting(None), Counting(Overloaded("busy")), Counting(1, never=True)],
    ids=["does not count", "does not tell", "cannot now", "takes too long"],
)
async def test_else_the_number_is_an_estimate_and_says_so(provider: FakeProvider) -> None:
    assert await count(provider) == TokenCount(GUESS, estimated=True)


async def test_tools_count_too() -> None:
    tools = ({"type": "function", "function": {"name": "weather", "description": "Tell the weather." * 10}},)
    assert (await count(FakeProvider(), tools=tools)).tokens > GUESS + 40


async def test_what_another_try_would_not_mend_is_told() -> None:
    with pytest.raises(ModelNotAvailable):
        await count(Counting(ModelNotAvailable("no such model")))
    with pytest.raises(UnknownModel):
        await count(Counting(1), "")


async def test_a_provider_that_counts_sees_what_handlers_leave_of_a_request() -> None:
    class Hides(Handler):
        async def on_request(self, command, exchange):  # type: ignore[no-untyped-def]
            return replace(command, messages=[user("[HIDDEN]")])

    provider = Counting(14)
    await count(provider, handlers=[Hides()])
    assert provider.calls[0].messages == [user("[HIDDEN]")]


async def test_what_a_handler_refuses_no_provider_sees() -> None:
    class Refuses(Handler):
        async def on_request(self, command, exchange):  # type: ignore[no-untyped-def]
            raise InvalidRequest("no")

    class Asks(Handler):
        async def on_request(self, command, exchange):  # type: ignore[no-untyped-def]
            await exchange.ask("any", command.messages, command.parameters, {})

    provider = Counting(14)
    for handler in (Refuses(), Asks()):
        with pytest.raises(InvalidRequest):
            await count(provider, handlers=[handler])
    assert provider.calls == []
