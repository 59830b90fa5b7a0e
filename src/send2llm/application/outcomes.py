"""How a call ends: the second commit, and the report to whoever watches."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

from send2llm.application.background import Background
from send2llm.application.change import change
from send2llm.application.charges import NOTHING_KNOWN, Charge, Charges
from send2llm.application.context import Context
from send2llm.application.intents import CallRefused
from send2llm.application.open_call import Following, OpenCall, Reply
from send2llm.application.ports import AttemptReport, CallReport, Clock, Conversations, Observer
from send2llm.application.send_command import SendMessage
from send2llm.application.unsaid import end_without_texts
from send2llm.domain.completion import Completion, believed
from send2llm.domain.conversation import CompletionEnd, Conversation
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    InterruptionReason,
)
from send2llm.domain.errors import (
    CompletionAlreadyEnded,
    Conflict,
    NotFound,
    ProviderError,
    Send2LLMError,
    StaleConversation,
    StoreUnavailable,
    UnreadableEvent,
)
from send2llm.domain.money import ZERO
from send2llm.domain.pico_dollars import pico_dollars
from send2llm.domain.routing import Attempt

T = TypeVar("T")

logger = logging.getLogger(__name__)

RETRY_EVERY = 2.0
"""Seconds between attempts to store an outcome that could not be stored at once."""


class Outcomes:
    """Stores outcomes. None is dropped: one that cannot be stored now is tried until the process ends."""

    def __init__(
        self, conversations: Conversations, charges: Charges, clock: Clock, observer: Observer, background: Background
    ) -> None:
        self._conversations = conversations
        self._charges = charges
        self._clock = clock
        self._observer = observer
        self._background = background

    async def received(self, call: OpenCall, completion: Completion) -> Reply:
        """The answer is there: store it, then hand it over."""
        completion = believed(completion)
        charge = self._charges.for_answer(call, completion)
        event = CompletionReceived(
            completion_id=call.completion_id,
            provider=call.candidate.provider,
            model=call.candidate.model,
            answers=completion.answers,
            attempts=call.attempts,
            duration=self._since(call),
            time_to_first_token=call.time_to_first_token,
            reported_usage=completion.usage,
            estimated_usage=charge.usage if charge.estimated else None,
            cost_usd=charge.cost_usd,
            price_version=charge.price_version,
            response_id=completion.response_id,
            response_model=completion.response_model,
            assumed=charge.assumed,
        )
        finish_reason = completion.answers[0].finish_reason
        await self._store(
            call,
            lambda conversation: conversation.receive_completion(event),
            lambda: self._report(call, "received", charge, finish_reason=finish_reason),
            event,
        )
        return Reply(
            conversation_id=call.conversation_id,
            completion_id=call.completion_id,
            provider=event.provider,
            model=event.model,
            completion=completion,
            cost_usd=_total(call, charge.cost_usd),
            attempts=call.attempts,
            upstream=call.upstream,
            budget_left_usd=call.hold.left_usd if call.hold else None,
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
            lambda: self._report(call, "failed", NOTHING_KNOWN, error=error.code),
            event,
        )

    async def interrupted(
        self,
        call: OpenCall,
        reason: InterruptionReason,
        partial: Completion | None = None,
        error: str | None = None,
        failure: AttemptFailed | None = None,
    ) -> None:
        """The call ended after a part of the answer, or nobody waits for it; ``failure``: its attempt failed, too."""
        partial = None if partial is None else believed(partial)
        charge = self._charges.for_interruption(call, partial)
        event = CompletionInterrupted(
            completion_id=call.completion_id,
            reason=reason,
            partial_text=partial.answers[0].message.text if partial else "",
            duration=self._since(call),
            reported_usage=partial.usage if partial else None,
            estimated_usage=charge.usage if charge.estimated else None,
            cost_usd=charge.cost_usd,
            price_version=charge.price_version,
            assumed=charge.assumed,
            attempts=call.attempts if call.asking else call.attempts + 1,
            provider=call.candidate.provider,
            model=call.candidate.model,
        )

        failed = call.doubt.failure if call.doubt else failure

        def interrupt(conversation: Conversation) -> None:
            # In one append: between the two the attempt would seem to have cost nothing. What is stored stays.
            if failed is not None:
                conversation.fail_attempt(failed)
            conversation.interrupt_completion(event)

        await self._store(
            call,
            interrupt,
            lambda: self._report(call, "interrupted", charge, error=error or reason),
            event,
        )

    async def broken(self, call: OpenCall, error: ProviderError, partial: Completion | None) -> None:
        """The stream broke after the caller had got its beginning, so that no other provider can take over."""
        report = self._attempt_report(call, error, None)
        failure = _failure(call, error, report, None, NOTHING_KNOWN)  # the interruption has the charge
        await self.interrupted(call, "provider_failed", partial, error.code, failure)
        self._observer.attempt_failed(report)

    def interrupted_later(self, call: OpenCall, reason: InterruptionReason, partial: Completion | None = None) -> None:
        """As ``interrupted``, for a task that is being cancelled, or cannot store anything now."""
        self._background.run(self._interrupted_quietly(call, reason, partial))

    async def _interrupted_quietly(
        self, call: OpenCall, reason: InterruptionReason, partial: Completion | None
    ) -> None:
        # What cannot be stored at once is tried again elsewhere; an outcome that is there already stays.
        with suppress(StoreUnavailable, Conflict, NotFound):
            await self.interrupted(call, reason, partial)

    def refused(self, command: SendMessage, refused: CallRefused, context: Context) -> None:
        """A call that no budget pays for; it is stored already."""
        first = refused.decision.candidates[0]
        self._observer.call_ended(
            CallReport(
                conversation_id=refused.conversation_id,
                completion_id=refused.completion_id,
                correlation_id=context.correlation_id,
                tenant=context.tenant,
                requested_model=command.model,
                provider=first.provider,
                model=first.model,
                streaming=command.streaming,
                outcome="refused",
                duration=round(self._clock.monotonic() - refused.started, 6),
                upstream=0.0,
                attempts=0,
                error=refused.error.code,
            )
        )

    async def attempt_failed(
        self, call: OpenCall, error: ProviderError, retry_in: float | None, following: Following | None
    ) -> None:
        """One attempt failed, and ``following`` comes next: after ``retry_in`` seconds, if it is the same provider.

        Raises ``AllowanceIsClosed`` when the money for what follows was taken away: then nothing was stored. After
        ``StoreUnavailable``, or when it is cancelled, that is in doubt, and the call must be interrupted.
        """
        charge = self._charges.for_failure(call, error)
        report = self._attempt_report(call, error, retry_in if following else None)
        event = _failure(call, error, report, following, charge)
        held = following.hold if following else None
        try:
            await change(
                self._conversations,
                call.conversation_id,
                call.context,
                lambda conversation: conversation.fail_attempt(event),
                () if held is None else held.events(call.conversation_id),
            )
        except (StoreUnavailable, asyncio.CancelledError):
            call.doubt_failure(event, following)
            raise
        except BaseException:  # not stored: whatever it was, nothing of the next attempt is held
            if held is not None and following is not None and not following.same_money:
                held.end(0)
            raise
        call.lost_usd += charge.cost_usd or ZERO
        if call.hold is not None:
            if following is not None and following.same_money and held is not None:
                call.hold.passed_on(held)
            else:
                call.hold.end(pico_dollars(charge.cost_usd or ZERO))
        self._observer.attempt_failed(report)

    def _attempt_report(self, call: OpenCall, error: ProviderError, retry_in: float | None) -> AttemptReport:
        return AttemptReport(
            correlation_id=call.context.correlation_id,
            provider=call.candidate.provider,
            model=call.candidate.model,
            attempt=call.attempts,
            error=error.code,
            retryable=error.retryable,
            status=error.status,
            duration=round(self._clock.monotonic() - call.attempt_started, 6),
            retry_in=retry_in,
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

    async def _store(
        self,
        call: OpenCall,
        command: Callable[[Conversation], None],
        report: Callable[[], None],
        event: CompletionReceived | CompletionFailed | CompletionInterrupted,
    ) -> None:
        """Store what ``command`` records and then ``report`` it: now, or as soon as the store is back.

        Until it is stored the money for the call is held; then it is free, less the cost that ``event`` tells.
        """

        async def store() -> None:
            try:
                await change(self._conversations, call.conversation_id, call.context, command)
            except CompletionAlreadyEnded:
                _let_go(call, await self._recorded(call))
                raise
            except UnreadableEvent as error:
                await end_without_texts(self._conversations, call, event)
                _let_go(call, event)
                self._report(call, "interrupted", NOTHING_KNOWN, error=error.code)
                raise
            _let_go(call, event)
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

    async def _recorded(self, call: OpenCall) -> CompletionEnd | None:
        """The stored outcome: it is from an earlier try, or from whoever held this process for dead."""
        conversation = await self._conversations.load(call.conversation_id, fresh=True)
        return conversation.ending(call.completion_id).event

    def _since(self, call: OpenCall) -> float:
        return round(self._clock.monotonic() - call.started, 6)

    def _report(
        self,
        call: OpenCall,
        outcome: str,
        charge: Charge,
        *,
        error: str | None = None,
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
                usage=charge.usage,
                usage_estimated=charge.estimated,
                cost_usd=_total(call, charge.cost_usd),
                time_to_first_token=call.time_to_first_token,
                finish_reason=finish_reason,
            )
        )


def _failure(
    call: OpenCall, error: ProviderError, report: AttemptReport, following: Following | None, charge: Charge
) -> AttemptFailed:
    return AttemptFailed(
        completion_id=call.completion_id,
        attempt=call.attempts,
        provider=report.provider,
        model=report.model,
        error=error.code,
        detail=str(error),
        retryable=error.retryable,
        status=error.status,
        duration=report.duration,
        cost_usd=charge.cost_usd,
        assumed=charge.assumed,
        next_attempt=_attempt(call.attempts + 1, following),
    )


def _let_go(call: OpenCall, ending: CompletionEnd | None) -> None:
    call.let_go(getattr(ending, "attempts", 0), getattr(ending, "cost_usd", None))


def _total(call: OpenCall, cost: Decimal | None) -> Decimal | None:
    """With what failed attempts cost."""
    return cost + call.lost_usd if cost is not None else (call.lost_usd or None)


def _attempt(number: int, following: Following | None) -> Attempt | None:
    if following is None:
        return None
    candidate, hold = following.candidate, following.hold
    if hold is None:
        return Attempt(number, candidate.provider, candidate.model)
    return Attempt(number, candidate.provider, candidate.model, hold.amount_usd, hold.paid_by)
