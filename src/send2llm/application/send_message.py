"""The main use case: send messages to a model, and keep everything as events.

1. The intent is stored: which conversation, what is said, who shall answer, with which money (``intents``).
2. Providers are asked: the first candidate, again after transient failures, then the next one; each time with money
   that budgets have set aside (``admission``).
3. The outcome is stored (``outcomes``), and only then does the caller get the end of the answer.

No database transaction is open while a provider is asked. Handlers may change the request before, what is sent of the
transcript, and what the caller gets of the answer (``handlers``).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from send2llm.application.admission import Admission
from send2llm.application.answer_stream import AnswerStream
from send2llm.application.change import TRIES
from send2llm.application.context import Context
from send2llm.application.handler_chain import HandlerChain
from send2llm.application.handlers import Exchange
from send2llm.application.intents import CallRefused, Intents
from send2llm.application.open_call import Following, OpenCall, Reply
from send2llm.application.outcomes import Outcomes
from send2llm.application.patience import Caller, CallerLeft
from send2llm.application.ports import Clock, EmbeddingProvider, Provider, Providers, Randomness
from send2llm.application.retries import RetryPolicy
from send2llm.application.send_command import SendMessage
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import (
    AllowanceIsClosed,
    ProviderError,
    RequestRejected,
    Send2LLMError,
    StoreUnavailable,
    StreamBroken,
)

T = TypeVar("T")


class MessageSender:
    """Handles ``SendMessage``."""

    def __init__(
        self,
        intents: Intents,
        admission: Admission,
        outcomes: Outcomes,
        providers: Providers,
        retries: RetryPolicy,
        clock: Clock,
        randomness: Randomness,
        handlers: HandlerChain,
    ) -> None:
        self._intents = intents
        self._admission = admission
        self._outcomes = outcomes
        self._providers = providers
        self._retries = retries
        self._clock = clock
        self._randomness = randomness
        self._handlers = None if handlers.is_empty else handlers

    async def complete(self, command: SendMessage, caller: Caller, context: Context) -> Reply:
        """Send, and return the whole answer, or the embeddings; it is in the event store by then.

        Raises ``InvalidRequest``, ``NotFound``, ``Conflict``, ``BudgetExceeded``, ``ProviderError`` (of the last
        attempt), ``StoreUnavailable``, and ``CallerLeft`` when the caller did not wait.
        """
        if self._handlers is None:
            return await self._complete(command, caller, context)
        command, exchange = await self._handled(self._handlers, command, caller, context)
        reply = await self._complete(command, caller, context, exchange)
        rewriter = self._handlers.on_answer(exchange)
        return reply if rewriter is None else replace(reply, completion=rewriter.whole(reply.completion))

    async def _complete(
        self, command: SendMessage, caller: Caller, context: Context, exchange: Exchange | None = None
    ) -> Reply:
        call = await self._open(command, caller, context, exchange)
        if isinstance(call, Reply):
            self._outcomes.replayed(command, call, context)
            return call
        completion = await self._ask(call, lambda provider: call.patience.for_all(_asked(provider, call)))
        try:
            return await self._outcomes.received(call, completion)
        except Send2LLMError:
            raise
        except Exception:  # an answer that cannot be stored, say: the call must not stay open
            self._outcomes.interrupted_later(call, "internal_error")
            raise

    async def stream(self, command: SendMessage, caller: Caller, context: Context) -> AnswerStream | Reply:
        """Send, and return as soon as an answer begins; what fails before that is tried again and raised as above.

        A ``Reply`` comes back when the answer was recorded earlier for the same idempotency key.
        """
        exchange = rewriter = None
        if self._handlers is not None:
            command, exchange = await self._handled(self._handlers, command, caller, context)
            rewriter = self._handlers.on_answer(exchange)
        call = await self._open(command, caller, context, exchange)
        if isinstance(call, Reply):
            self._outcomes.replayed(command, call, context)
            return call if rewriter is None else replace(call, completion=rewriter.whole(call.completion))
        first, rest = await self._ask(call, lambda provider: self._begin(call, provider))
        return AnswerStream(call, first, rest, self._outcomes, rewriter)

    async def _handled(
        self, handlers: HandlerChain, command: SendMessage, caller: Caller, context: Context
    ) -> tuple[SendMessage, Exchange]:
        return await handlers.on_request(command, context, lambda other: self._complete(other, caller, context))

    async def _open(
        self, command: SendMessage, caller: Caller, context: Context, exchange: Exchange | None = None
    ) -> OpenCall | Reply:
        try:
            if exchange is None or self._handlers is None:
                return await self._intents.open(command, caller, context)
            call = await self._intents.open(command, caller, context, self._handlers.on_transcript(exchange))
            if isinstance(call, OpenCall):
                call.upstream += exchange.upstream
            return call
        except CallRefused as refused:
            self._outcomes.refused(command, refused, context)
            raise refused.error from None

    async def _ask(self, call: OpenCall, ask: Callable[[Provider], Awaitable[T]]) -> T:
        """Ask the candidates until one answers; if none does, the call has failed."""
        try:
            return await self._first_answer(call, ask)
        except ProviderError as error:
            error.conversation_id = call.conversation_id
            await self._outcomes.failed(call, error)
            raise
        except CallerLeft:
            await self._outcomes.interrupted(call, "client_disconnected")
            raise
        except asyncio.CancelledError:
            self._outcomes.interrupted_later(call, "shutdown")
            raise
        except StoreUnavailable:
            self._outcomes.interrupted_later(call, "store_unavailable")
            raise
        except Exception:  # our own mistake, or an adapter's: even then the call must not stay open
            self._outcomes.interrupted_later(call, "internal_error")
            raise

    async def _first_answer(self, call: OpenCall, ask: Callable[[Provider], Awaitable[T]]) -> T:
        while True:
            provider = self._providers.get(call.candidate.provider)
            call.begin_attempt(self._clock.monotonic())
            try:
                return await self._outcomes.timed(call, ask(provider))
            except ProviderError as failure:
                error = failure
            wait = self._retries.wait(error, call.tries, self._randomness)
            following = await self._after(call, error, wait)
            if following is None:
                raise error
            again = following.candidate is call.candidate
            call.go_on_with(following)
            if again and wait is not None:
                await call.patience.for_all(self._clock.sleep(wait))

    async def _after(self, call: OpenCall, error: ProviderError, wait: float | None) -> Following | None:
        """Store that an attempt failed, together with the hold of the one that follows, if one does."""
        for_nothing = call.hold is None or not error.may_be_charged
        for _ in range(TRIES):
            following = await self._admission.following(call, again=wait is not None, for_nothing=for_nothing)
            try:
                await self._outcomes.attempt_failed(call, error, wait, following)
            except AllowanceIsClosed as closed:  # the money was taken from this process meanwhile
                self._admission.lose(closed.allowance_id)
                for_nothing = for_nothing and call.hold is None
            else:
                return following
        await self._outcomes.attempt_failed(call, error, None, None)
        return None

    @staticmethod
    async def _begin(call: OpenCall, provider: Provider) -> tuple[Sequence[Delta], AsyncIterator[Sequence[Delta]]]:
        """The beginning of a stream, and the rest."""
        batches = provider.stream(call.provider_call())
        first = await call.patience.for_first_token(_up_to_first_token(batches))
        if first is None:
            raise StreamBroken("The provider's stream ended before its first token.", provider=provider.name)
        return first, batches


async def _up_to_first_token(batches: AsyncIterator[Sequence[Delta]]) -> Sequence[Delta] | None:
    """What comes up to and with the first piece of an answer; ``None`` if the stream ends without any.

    Many providers send a role, or a chunk with no choices, at once, and only then begin to think. Until they say
    something another one may still take over.
    """
    first: list[Delta] = []
    async for batch in batches:
        first += batch
        if any(delta.says_something or delta.finish_reason is not None for delta in batch):
            return first
    return None


def _asked(provider: Provider, call: OpenCall) -> Awaitable[Completion]:
    """The question for a whole answer, or for embeddings."""
    if call.parameters.embedding is None:
        return provider.complete(call.provider_call())
    if not isinstance(provider, EmbeddingProvider):
        raise RequestRejected(f"{provider.name} has no embeddings; use another provider.", provider=provider.name)
    return provider.embed(call.provider_call())
