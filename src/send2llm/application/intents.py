"""How a call begins: which conversation it belongs to, who shall answer, and the first commit."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from uuid import UUID

from send2llm.application.change import TRIES
from send2llm.application.context import Context
from send2llm.application.open_call import OpenCall, Reply
from send2llm.application.patience import Caller, Patience, Timeouts
from send2llm.application.ports import Clock, Conversations, Identifiers, PriceBook
from send2llm.application.told import Told
from send2llm.domain.completion import Completion, Parameters
from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import CompletionReceived, CompletionRequested
from send2llm.domain.errors import (
    CompletionInProgress,
    CompletionNotFound,
    ConversationNotFound,
    IdempotencyKeyReused,
    StaleConversation,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import JsonObject, Message, no_extras
from send2llm.domain.routing import Decision, ModelNames


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Ask a model for an answer to ``messages``.

    With a ``conversation_id`` they are added to that conversation; if they begin with all that was said in it
    already, only the rest is. Without one, they continue the conversation whose transcript they begin with, or start
    a new one. ``parts_only`` says that the messages are new in any case and are never compared.
    """

    model: str
    messages: Sequence[Message]
    parameters: Parameters
    conversation_id: UUID | None = None
    parts_only: bool = False
    streaming: bool = False
    idempotency_key: str | None = None
    labels: JsonObject = field(default_factory=no_extras)


class Intents:
    """Opens calls: nothing goes to a provider before what is asked and decided is stored."""

    def __init__(
        self,
        conversations: Conversations,
        names: ModelNames,
        prices: PriceBook,
        clock: Clock,
        identifiers: Identifiers,
        timeouts: Timeouts,
        process: str,
    ) -> None:
        self._conversations = conversations
        self._names = names
        self._prices = prices
        self._clock = clock
        self._identifiers = identifiers
        self._timeouts = timeouts
        self._process = process

    async def open(self, command: SendMessage, caller: Caller, context: Context) -> OpenCall | Reply:
        """Store the intent of a call, or find the answer that its idempotency key stands for already."""
        started = self._clock.monotonic()
        patience = Patience(caller, self._timeouts)
        decision = self._names.decide(command.model)
        request = self._request(command, decision)
        conversation: Conversation | Reply | None = None
        for attempt in range(TRIES):
            try:
                conversation = await self._store(command, request, context, fresh=attempt > 0)
                break
            except StaleConversation:
                continue
            except CompletionInProgress:
                if attempt:
                    raise
                continue  # what was known here may be old
        if isinstance(conversation, Reply):
            return conversation
        if conversation is None:
            raise StaleConversation(command.conversation_id)
        return OpenCall(
            context=context,
            conversation_id=conversation.id,
            completion_id=request.completion_id,
            requested_model=command.model,
            decision=decision,
            messages=conversation.messages,
            parameters=command.parameters,
            streaming=command.streaming,
            patience=patience,
            started=started,
        )

    def _request(self, command: SendMessage, decision: Decision) -> CompletionRequested:
        first = decision.candidates[0]
        price = self._prices.price(first.provider, first.model)
        return CompletionRequested(
            completion_id=self._identifiers.new(),
            requested_model=command.model,
            parameters=command.parameters,
            decision=decision,
            provider=first.provider,
            model=first.model,
            process=self._process,
            streaming=command.streaming,
            price_version=price.version if price else None,
            idempotency_key=command.idempotency_key,
        )

    async def _store(
        self, command: SendMessage, request: CompletionRequested, context: Context, *, fresh: bool
    ) -> Conversation | Reply:
        claim = digest = None
        conversation_id = command.conversation_id
        if command.idempotency_key is not None:
            digest = request_digest(command)
            claim = await self._conversations.claim(command.idempotency_key, context.tenant)
            if claim.event is not None:
                answered = await self._answered(claim.event, digest)
                if answered is not None:
                    return answered
                conversation_id = claim.event.conversation_id
        conversation, new = await self._conversation(command, conversation_id, context, fresh=fresh)
        conversation.add_messages(new)
        conversation.request_completion(request)
        if claim is None or digest is None:
            await self._conversations.save(conversation, context)
        else:
            mine = IdempotencyKeyClaimed(
                conversation_id=conversation.id, completion_id=request.completion_id, request_digest=digest
            )
            await self._conversations.save(conversation, context, claim=(claim, mine))
        return conversation

    async def _conversation(
        self, command: SendMessage, conversation_id: UUID | None, context: Context, *, fresh: bool
    ) -> tuple[Conversation, Sequence[Message]]:
        """The conversation that the call belongs to, and those of its messages that are new to it."""
        told = Told(command.messages)
        if conversation_id is not None:
            conversation = await self._conversations.load(conversation_id, fresh=fresh)
            return conversation, told.unsaid(conversation, all_new=command.parts_only)
        if told.answered:
            continued = await self._continued(told, context, fresh=fresh)
            if continued is not None:
                return continued, told.unsaid(continued, all_new=False)
        return Conversation.start(self._identifiers.new(), labels=command.labels), command.messages

    async def _continued(self, told: Told, context: Context, *, fresh: bool) -> Conversation | None:
        """The conversation that the messages go on with.

        One that has moved on meanwhile, or is busy, is left alone: the call becomes a branch of its own.
        """
        found = await self._conversations.find(told.earlier_transcripts, context.tenant)
        if found is None:
            return None
        try:
            conversation = await self._conversations.load(found, fresh=fresh)
        except ConversationNotFound:
            return None
        free = conversation.awaited is None and not conversation.closed and told.goes_on_with(conversation)
        if not free and not fresh:
            return await self._continued(told, context, fresh=True)  # what was known here may be old
        return conversation if free else None

    async def _answered(self, claimed: IdempotencyKeyClaimed, digest: str) -> Reply | None:
        if claimed.request_digest != digest:
            raise IdempotencyKeyReused
        conversation = await self._conversations.load(claimed.conversation_id, fresh=True)
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


def request_digest(command: SendMessage) -> str:
    """What makes two requests the same: the model, the messages, the conversation, and how to answer.

    It is stored, so it must not change: parameters at their defaults do not count, and so new ones may be added.
    """
    usual = Parameters()
    chosen = {
        known.name: value
        for known in fields(Parameters)
        if (value := getattr(command.parameters, known.name)) != getattr(usual, known.name)
    }
    words = [command.model, str(command.conversation_id), chosen]
    text = json.dumps(words, sort_keys=True, default=dict).encode()
    return blake2b(Told(command.messages).digests[-1] + text, digest_size=16).hexdigest()
