"""How a call ends: the second commit, and the report to whoever watches."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

from send2llm.application.background import Background
from send2llm.application.change import change
from send2llm.application.context import Context
from send2llm.application.intents import SendMessage
from send2llm.application.open_call import OpenCall, Reply
from send2llm.application.ports import AttemptReport, CallReport, Clock, Conversations, Observer, PriceBook
from send2llm.domain.completion import Completion, Usage
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    InterruptionReason,
)
from send2llm.domain.errors import Conflict, NotFound, ProviderError, Send2LLMError, StaleConversation, StoreUnavailable
from send2llm.domain.estimation import estimate_message_tokens

T = TypeVar("T")

logger = logging.getLogger(__name__)

REPORTED_PRICE = "reported by the provider"
RETRY_EVERY = 2.0
"""Seconds between attempts to store an outcome that could not be stored at once."""


class Outcomes:
    """Stores outcomes. None is dropped: one that cannot be stored now is tried until the process ends."""

    def __init__(
        self, conversations: Conversations, prices: PriceBook, clock: Clock, observer: Observer, background: Background
    ) -> None:
        self._conversations = conversations
        self._prices = prices
        self._clock = clock
        self._observer = observer
        self._background = background

    async def received(self, call: OpenCall, completion: Completion) -> Reply:
        """The answer is there: store it, then hand it over."""
        usage = completion.usage or self._estimate(call, completion)
        cost, version = self._cost(call, completion, usage)
        event = CompletionReceived(
            completion_id=call.completion_id,
            provider=call.candidate.provider,
            model=call.candidate.model,
            answers=completion.answers,
            attempts=call.attempts,
            duration=self._since(call),
            time_to_first_token=call.time_to_first_token,
            reported_usage=completion.usage,
            estimated_usage=None if completion.usage else usage,
            cost_usd=cost,
            price_version=version,
            response_id=completion.response_id,
            response_model=completion.response_model,
        )
        await self._store(
            call,
            lambda conversation: conversation.receive_completion(event),
            lambda: self._report(
                call,
                "received",
                usage=usage,
                estimated=completion.usage is None,
                cost=cost,
                finish_reason=completion.answers[0].finish_reason,
            ),
        )
        return Reply(
            conversation_id=call.conversation_id,
            completion_id=call.completion_id,
            provider=event.provider,
            model=event.model,
            completion=completion,
            cost_usd=cost,
            attempts=call.attempts,
            upstream=call.upstream,
        )

    async def failed(self, call: OpenCall, error: ProviderError) -> None:
        """No candidate answered."""
        event = CompletionFailed(
            completion_id=call.completion_id,
            error=error.code,
            detail=str(error),
            attempts=call.attempts,
            duration=self._since(call),
        )
        await self._store(
            call,
            lambda conversation: conversation.fail_completion(event),
            lambda: self._report(call, "failed", error=error.code),
        )

    async def interrupted(
        self, call: OpenCall, reason: InterruptionReason, partial: Completion | None = None, error: str | None = None
    ) -> None:
        """The call ended after a part of the answer, or nobody waits for it.

        What the provider had made by then is charged for as far as it is known: by its own report, else by an
        estimate of the prompt and of the part that came. Before the first token nothing is known, and nothing assumed.
        """
        usage, cost, version, assumed = None, None, None, "no answer had come; no cost assumed"
        if partial is not None:
            usage = partial.usage or self._estimate(call, partial)
            cost, version = self._cost(call, partial, usage)
            assumed = "" if partial.usage else "tokens estimated from the prompt and the part that came"
        event = CompletionInterrupted(
            completion_id=call.completion_id,
            reason=reason,
            partial_text=partial.answers[0].message.text if partial else "",
            duration=self._since(call),
            reported_usage=partial.usage if partial else None,
            estimated_usage=None if partial is None or partial.usage else usage,
            cost_usd=cost,
            price_version=version,
            assumed=assumed,
        )
        estimated = partial is not None and not partial.usage
        await self._store(
            call,
            lambda conversation: conversation.interrupt_completion(event),
            lambda: self._report(
                call, "interrupted", error=error or reason, usage=usage, estimated=estimated, cost=cost
            ),
        )

    async def broken(self, call: OpenCall, error: ProviderError, partial: Completion | None) -> None:
        """The stream broke after the caller had got its beginning, so that no other provider can take over."""
        await self.attempt_failed(call, error, None)
        await self.interrupted(call, "provider_failed", partial, error.code)

    def interrupted_later(self, call: OpenCall, reason: InterruptionReason, partial: Completion | None = None) -> None:
        """As ``interrupted``, for a task that is being cancelled, or cannot store anything now."""
        self._background.run(self._interrupted_quietly(call, reason, partial))

    async def _interrupted_quietly(
        self, call: OpenCall, reason: InterruptionReason, partial: Completion | None
    ) -> None:
        # What cannot be stored at once is tried again elsewhere; an outcome that is there already stays.
        with suppress(StoreUnavailable, Conflict, NotFound):
            await self.interrupted(call, reason, partial)

    async def attempt_failed(self, call: OpenCall, error: ProviderError, retry_in: float | None) -> None:
        """One attempt failed; ``retry_in`` seconds the same provider is asked again, if not ``None``."""
        event = AttemptFailed(
            completion_id=call.completion_id,
            attempt=call.attempts,
            provider=call.candidate.provider,
            model=call.candidate.model,
            error=error.code,
            detail=str(error),
            retryable=error.retryable,
            status=error.status,
            duration=round(self._clock.monotonic() - call.attempt_started, 6),
        )
        report = AttemptReport(
            correlation_id=call.context.correlation_id,
            provider=event.provider,
            model=event.model,
            attempt=event.attempt,
            error=event.error,
            retryable=event.retryable,
            status=event.status,
            duration=event.duration,
            retry_in=retry_in,
        )
        await self._store(
            call,
            lambda conversation: conversation.fail_attempt(event),
            lambda: self._observer.attempt_failed(report),
        )

    async def timed(self, call: OpenCall, wait: Awaitable[T]) -> T:
        """Wait for a provider, and count the time as not ours."""
        began = self._clock.monotonic()
        try:
            return await wait
        finally:
            call.upstream += self._clock.monotonic() - began

    def replayed(self, command: SendMessage, reply: Reply, context: Context) -> None:
        """An answer was given again that had been recorded before."""
        self._observer.call_ended(
            CallReport(
                conversation_id=reply.conversation_id,
                completion_id=reply.completion_id,
                correlation_id=context.correlation_id,
                tenant=context.tenant,
                requested_model=command.model,
                provider=reply.provider,
                model=reply.model,
                streaming=command.streaming,
                outcome="replayed",
                duration=0.0,
                upstream=0.0,
                attempts=0,
            )
        )

    def first_token(self, call: OpenCall) -> None:
        """The first piece of the answer itself came."""
        call.time_to_first_token = self._since(call)

    async def _store(self, call: OpenCall, command: Callable[[Conversation], None], report: Callable[[], None]) -> None:
        """Store what ``command`` records, then ``report`` it: now, or as soon as the store is back."""

        async def store() -> None:
            await change(self._conversations, call.conversation_id, call.context, command)
            report()

        try:
            await store()
        except (StoreUnavailable, StaleConversation):
            self._background.run(self._keep_trying(store))
            raise

    async def _keep_trying(self, store: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(RETRY_EVERY)
            try:
                await store()
            except (StoreUnavailable, StaleConversation):
                continue
            except (Conflict, NotFound):
                return  # it has its outcome already, or was never stored: there is nothing to add
            except Send2LLMError:
                logger.exception("an outcome could not be stored")
                return
            else:
                return

    def _since(self, call: OpenCall) -> float:
        return round(self._clock.monotonic() - call.started, 6)

    @staticmethod
    def _estimate(call: OpenCall, completion: Completion) -> Usage:
        answers = (answer.message for answer in completion.answers)
        return Usage(estimate_message_tokens(call.messages), estimate_message_tokens(answers))

    def _cost(self, call: OpenCall, completion: Completion, usage: Usage) -> tuple[Decimal | None, str | None]:
        if completion.reported_cost_usd is not None:
            return completion.reported_cost_usd, REPORTED_PRICE
        price = self._prices.price(call.candidate.provider, call.candidate.model)
        return (price.cost(usage), price.version) if price else (None, None)

    def _report(
        self,
        call: OpenCall,
        outcome: str,
        *,
        error: str | None = None,
        usage: Usage | None = None,
        estimated: bool = False,
        cost: Decimal | None = None,
        finish_reason: str | None = None,
    ) -> None:
        self._observer.call_ended(
            CallReport(
                conversation_id=call.conversation_id,
                completion_id=call.completion_id,
                correlation_id=call.context.correlation_id,
                tenant=call.context.tenant,
                requested_model=call.requested_model,
                provider=call.candidate.provider,
                model=call.candidate.model,
                streaming=call.streaming,
                outcome=outcome,
                duration=self._since(call),
                upstream=call.upstream,
                attempts=call.attempts,
                error=error,
                usage=usage,
                usage_estimated=estimated,
                cost_usd=cost,
                time_to_first_token=call.time_to_first_token,
                finish_reason=finish_reason,
            )
        )
