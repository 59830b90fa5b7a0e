"""How a call begins: which conversation it belongs to, who shall answer, and the first commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from uuid import UUID

from send2llm.application.change import TRIES
from send2llm.application.context import Context
from send2llm.application.open_call import OpenCall, Reply
from send2llm.application.patience import Caller, Patience, Timeouts
from send2llm.application.ports import Clock, Conversations, Identifiers, PriceBook
from send2llm.domain.completion import Completion, Parameters
from send2llm.domain.conversation import EMPTY_TRANSCRIPT, Conversation
from send2llm.domain.conversation_events import CompletionReceived, CompletionRequested
from send2llm.domain.errors import (
    CompletionInProgress,
    CompletionNotFound,
    ConversationNotFound,
    IdempotencyKeyReused,
    StaleConversation,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import JsonObject, Message, no_extras, transcript_digest
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
            digest = _request_digest(command)
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
        if conversation_id is not None:
            conversation = await self._conversations.load(conversation_id, fresh=fresh)
            return conversation, _unsaid(conversation, command)
        if any(message.role == "assistant" for message in command.messages):
            continued = await self._continued(command.messages, context, fresh=fresh)
            if continued is not None:
                return continued, _unsaid(continued, command)
        return Conversation.start(self._identifiers.new(), labels=command.labels), command.messages

    async def _continued(self, messages: Sequence[Message], context: Context, *, fresh: bool) -> Conversation | None:
        """The conversation that these messages go on with: said so far is all, or all up to the last answer."""
        chain = _chain(messages)
        answered = max(n for n, message in enumerate(messages, 1) if message.role == "assistant")
        found = await self._conversations.find([chain[-1], chain[answered - 1]], context.tenant)
        if found is None:
            return None
        try:
            conversation = await self._conversations.load(found, fresh=fresh)
        except ConversationNotFound:
            return None
        # A conversation that has moved on meanwhile is left alone: this call becomes a branch of its own.
        busy = conversation.awaited is not None or conversation.closed
        return None if busy or conversation.digest not in chain else conversation

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


def _chain(messages: Sequence[Message]) -> list[bytes]:
    """The digest of the transcript after each of the messages."""
    digests, digest = [], EMPTY_TRANSCRIPT
    for message in messages:
        digest = transcript_digest(digest, message)
        digests.append(digest)
    return digests


def _unsaid(conversation: Conversation, command: SendMessage) -> Sequence[Message]:
    """Those of the messages that the transcript does not hold yet."""
    messages, said = command.messages, len(conversation.messages)
    if not command.parts_only and 0 < said <= len(messages) and _chain(messages[:said])[-1] == conversation.digest:
        return messages[said:]
    # The transcript may end with just these messages, unanswered: the caller tries again after a failure.
    tail = conversation.messages[-len(messages) :]
    return () if messages[-1].role != "assistant" and tail == list(messages) else messages


def _request_digest(command: SendMessage) -> str:
    """What makes two requests the same: the model, the messages and the conversation."""
    digest = _chain(command.messages)[-1] if command.messages else b""
    words = f"{command.model}\n{command.conversation_id}\n{command.parameters!r}".encode("utf-8", "backslashreplace")
    return blake2b(digest + words, digest_size=16).hexdigest()
