"""How a call begins: which conversation it belongs to, who shall answer, and the first commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from send2llm.application.admission import Admission, Admitted, Refused
from send2llm.application.budgets.call_bounds import Transcript
from send2llm.application.change import TRIES
from send2llm.application.context import Context
from send2llm.application.doubtful_intents import DoubtfulIntents
from send2llm.application.open_call import OpenCall, Reply
from send2llm.application.outgoing import Outgoing, Prepare
from send2llm.application.patience import Caller, Patience, Timeouts
from send2llm.application.places import Places
from send2llm.application.ports import Clock, Conversations, Identifiers, PriceBook
from send2llm.application.send_command import SendMessage, request_digest
from send2llm.domain.completion import Completion
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import CompletionReceived, CompletionRefused, CompletionRequested
from send2llm.domain.errors import (
    AllowanceIsClosed,
    BudgetExceeded,
    CompletionInProgress,
    CompletionNotFound,
    IdempotencyKeyReused,
    Send2LLMError,
    StaleConversation,
    StoreUnavailable,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import Message
from send2llm.domain.routing import Decision, ModelNames


@dataclass(frozen=True, slots=True)
class _Opening:
    """A call on its way to its intent; ``started`` is monotonic."""

    command: SendMessage
    context: Context
    decision: Decision
    started: float
    prepare: Prepare | None


class CallRefused(Exception):
    """No budget pays for the call, which is stored; ``error`` is what the caller is told."""

    def __init__(
        self, error: Send2LLMError, conversation_id: UUID, completion_id: UUID, decision: Decision, started: float
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.conversation_id = conversation_id
        self.completion_id = completion_id
        self.decision = decision
        self.started = started


class Intents:
    """Opens calls: nothing goes to a provider before what is asked and decided is stored."""

    def __init__(
        self,
        conversations: Conversations,
        admission: Admission,
        names: ModelNames,
        prices: PriceBook,
        clock: Clock,
        identifiers: Identifiers,
        timeouts: Timeouts,
        doubts: DoubtfulIntents,
        process: str,
    ) -> None:
        self._conversations = conversations
        self._admission = admission
        self._names = names
        self._prices = prices
        self._clock = clock
        self._identifiers = identifiers
        self._timeouts = timeouts
        self._doubts = doubts
        self._process = process
        self._places = Places(conversations, identifiers)

    async def open(
        self, command: SendMessage, caller: Caller, context: Context, prepare: Prepare | None = None
    ) -> OpenCall | Reply:
        """Store the intent of a call, or find the answer that its idempotency key stands for already.

        ``prepare`` changes what is sent of the transcript; it runs again when the conversation has moved on meanwhile.
        Raises ``CallRefused``, which is stored as well, when no budget pays for any of the candidates.
        """
        opening = _Opening(command, context, self._names.decide(command.model), self._clock.monotonic(), prepare)
        patience = Patience(caller, self._timeouts)
        for attempt in range(TRIES):
            try:
                return await self._store(opening, patience, fresh=attempt > 0)
            except StaleConversation:
                continue
            except AllowanceIsClosed as closed:
                self._admission.lose(closed.allowance_id)
            except CompletionInProgress:
                if attempt:
                    raise
                continue  # what was known here may be old
        raise StaleConversation(command.conversation_id)

    async def _store(self, opening: _Opening, patience: Patience, *, fresh: bool) -> OpenCall | Reply:
        command, context = opening.command, opening.context
        claim, digest = None, ""
        key = command.idempotency_key
        conversation_id = command.conversation_id
        if key is not None:
            digest = request_digest(command, key)
            claim = await self._conversations.claim(key, context.tenant)
            if claim.event is not None:
                answered = await self._answered(claim.event, command, digest)
                if answered is not None:
                    return answered
                conversation_id = claim.event.conversation_id
        conversation, said, new = await self._places.find(command, conversation_id, context, fresh=fresh)
        transcript = _transcript(conversation, said, new)
        completion_id = self._identifiers.new()
        if opening.prepare is not None and command.parameters.embedding is None:
            transcript = await self._prepared(opening, opening.prepare, conversation, completion_id, transcript)
        admitted = await self._admit(opening, conversation, completion_id, transcript)
        try:
            conversation.request_completion(self._request(opening, completion_id, admitted, digest))
            await self._conversations.save(
                conversation,
                context,
                claim=None if claim is None else (claim, _claimed(conversation.id, completion_id)),
                holds=() if admitted.hold is None else admitted.hold.events(conversation.id),
            )
        except StoreUnavailable:
            self._doubts.settle(conversation.id, completion_id, admitted.hold, context)
            raise
        except asyncio.CancelledError:
            self._doubts.settle(conversation.id, completion_id, admitted.hold, context, under_way=True)
            raise
        except BaseException:  # not stored: whatever it was, nothing of it is held
            if admitted.hold is not None:
                admitted.hold.end(0)
            raise
        return OpenCall(
            context=context,
            conversation_id=conversation.id,
            completion_id=completion_id,
            requested_model=command.model,
            decision=opening.decision,
            candidate=admitted.candidate,
            hold=admitted.hold,
            messages=transcript.messages,
            stored_messages=transcript.stored,
            parameters=command.parameters,
            streaming=command.streaming,
            patience=patience,
            started=opening.started,
        )

    async def _prepared(
        self,
        opening: _Opening,
        prepare: Prepare,
        conversation: Conversation,
        completion_id: UUID,
        transcript: Transcript,
    ) -> Transcript:
        """What is sent instead of the whole transcript, if anything is; what is new about that goes into the record."""
        outgoing = await prepare(
            Outgoing(
                conversation_id=conversation.id,
                completion_id=completion_id,
                transcript=conversation.messages,
                messages=conversation.messages,
                stored_messages=transcript.stored,
                parameters=opening.command.parameters,
                candidates=opening.decision.candidates,
                shortened_before=conversation.shortened,
            )
        )
        if outgoing.shortened is not None:
            conversation.shorten_context(outgoing.shortened)
        if outgoing.messages is conversation.messages:
            return transcript
        return Transcript(conversation.id, outgoing.messages, 0)  # what is known of the stored ones does not count here

    async def _admit(
        self, opening: _Opening, conversation: Conversation, completion_id: UUID, transcript: Transcript
    ) -> Admitted:
        """Who is to be asked, and the money for it; stores the refusal when there is none."""
        command, decision = opening.command, opening.decision
        try:
            return await self._admission.first(
                decision.candidates, completion_id, transcript, command.parameters, opening.context
            )
        except Refused as refused:
            error = refused.error
            conversation.refuse_completion(
                CompletionRefused(
                    completion_id=completion_id,
                    requested_model=command.model,
                    decision=decision,
                    error=error.code,
                    detail=str(error),
                    shortfall=error.shortfall if isinstance(error, BudgetExceeded) else None,
                    passed_over=refused.passed_over,
                )
            )
            await self._conversations.save(conversation, opening.context)
            error.conversation_id = conversation.id
            raise CallRefused(error, conversation.id, completion_id, decision, opening.started) from None

    def _request(self, opening: _Opening, completion_id: UUID, admitted: Admitted, digest: str) -> CompletionRequested:
        command, candidate, hold = opening.command, admitted.candidate, admitted.hold
        price = self._prices.price(candidate.provider, candidate.model)
        return CompletionRequested(
            completion_id=completion_id,
            requested_model=command.model,
            parameters=command.parameters,
            decision=opening.decision,
            provider=candidate.provider,
            model=candidate.model,
            process=self._process,
            streaming=command.streaming,
            price_version=price.version if price else None,
            hold_usd=hold.amount_usd if hold else None,
            output_limit=hold.output_limit if hold else None,
            paid_by=hold.paid_by if hold else (),
            passed_over=admitted.passed_over,
            idempotency_key=command.idempotency_key,
            request_digest=digest,
            template=command.template,
        )

    async def _answered(self, claimed: IdempotencyKeyClaimed, command: SendMessage, digest: str) -> Reply | None:
        conversation = await self._conversations.load(claimed.conversation_id, fresh=True)
        conversation.must_not_be_erased()
        _must_be_the_same(claimed.request_digest or conversation.request_digest(claimed.completion_id), command, digest)
        try:
            ending = conversation.ending(claimed.completion_id).event
        except CompletionNotFound:
            return None
        if ending is None:
            raise CompletionInProgress(claimed.conversation_id)
        if not isinstance(ending, CompletionReceived):
            return None  # it failed: the key may try again
        return Reply(
            conversation_id=claimed.conversation_id,
            completion_id=claimed.completion_id,
            provider=ending.provider,
            model=ending.model,
            completion=Completion(
                answers=ending.answers,
                response_id=ending.response_id,
                response_model=ending.response_model,
                usage=ending.reported_usage or ending.estimated_usage,
            ),
            cost_usd=ending.cost_usd,
            attempts=ending.attempts,
            upstream=0.0,
            replayed=True,
        )


def _transcript(conversation: Conversation, said: Sequence[Message], new: Sequence[Message]) -> Transcript:
    """Add what is new; what the model will read is that behind what was ``said``."""
    stored = len(conversation.messages)
    told_anew = said is not conversation.messages
    if told_anew:
        pairs = zip(said, conversation.messages, strict=True)
        unchanged = next((place for place, (told, kept) in enumerate(pairs) if told is not kept), stored)
    conversation.add_messages(new)
    if not told_anew:
        return Transcript(conversation.id, conversation.messages, stored)
    return Transcript(conversation.id, [*said, *conversation.messages[stored:]], unchanged)


def _claimed(conversation_id: UUID, call: UUID) -> IdempotencyKeyClaimed:
    return IdempotencyKeyClaimed(conversation_id=conversation_id, completion_id=call)


def _must_be_the_same(stored: str, command: SendMessage, digest: str) -> None:
    # Early claims hold a digest without a key.
    if stored not in (digest, request_digest(command)):
        raise IdempotencyKeyReused
