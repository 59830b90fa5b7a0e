"""The conversation: the aggregate that guards one stream of messages, calls and answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Self
from uuid import UUID

from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRefused,
    CompletionRequested,
    ContextShortened,
    ConversationClosed,
    ConversationErased,
    ConversationEvent,
    ConversationStarted,
    FeedbackGiven,
    MessageAdded,
)
from send2llm.domain.errors import (
    CompletionAlreadyEnded,
    CompletionInProgress,
    CompletionNotFound,
    ConversationIsClosed,
    ConversationIsErased,
    ConversationNotFound,
    InvalidRequest,
    MalformedReply,
)
from send2llm.domain.message import NO_EXTRAS, JsonObject, Message, transcript_digest
from send2llm.domain.money import ZERO
from send2llm.domain.routing import Attempt

CompletionEnd = CompletionReceived | CompletionFailed | CompletionInterrupted | CompletionRefused

EMPTY_TRANSCRIPT = b""
"""Where the hash chain of every transcript begins."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a completion stands: ``None`` while it is awaited, else the event that ended it."""

    event: "CompletionEnd | None"


class Conversation:
    """One conversation, folded from its events.

    Commands check the state and record events; ``collect`` hands the new ones over to be stored. Events and
    messages never change, so ``copy`` is shallow and costs a few nanoseconds a message.
    """

    def __init__(self, conversation_id: UUID) -> None:
        self.id = conversation_id
        self.version = 0
        """How many events the state holds."""
        self.messages: list[Message] = []
        """The transcript, answers included."""
        self.digest = EMPTY_TRANSCRIPT
        """The hash chain of the transcript, as ``transcript_digest`` makes it."""
        self.awaited: UUID | None = None
        """The completion that the conversation waits for."""
        self.attempt: Attempt | None = None
        """The attempt that is under way, or about to begin, for what is awaited."""
        self.closed = False
        self.erased = False
        """Whether what was said is gone; it is closed then, too."""
        self.labels: JsonObject = NO_EXTRAS
        self.shortened: ContextShortened | None = None
        """What the model was last spared of the transcript."""
        self.summaries: tuple[UUID, ...] = ()
        """The conversations in which parts of this one were summarised."""
        self._failed_attempts = 0
        self._completions: dict[UUID, Ending] = {}
        self._request_digests: dict[UUID, str] = {}
        self._written_off: UUID | None = None
        """The last completion, while its late answer would still be taken."""
        self._new: list[ConversationEvent] = []

    @classmethod
    def start(cls, conversation_id: UUID, *, labels: JsonObject = NO_EXTRAS) -> Self:
        """Begin a conversation."""
        conversation = cls(conversation_id)
        conversation._record(ConversationStarted(labels=labels))
        return conversation

    @classmethod
    def fold(cls, conversation_id: UUID, events: Iterable[ConversationEvent]) -> Self:
        """The state after ``events``; raises ``ConversationNotFound`` when there are none."""
        conversation = cls(conversation_id)
        conversation.follow(events)
        if not conversation.version:
            raise ConversationNotFound(conversation_id)
        return conversation

    def follow(self, events: Iterable[ConversationEvent]) -> None:
        """Take in stored events that come after the ones known."""
        for event in events:
            self._apply(event)

    def copy(self) -> Self:
        """An independent conversation in the same state, without the events not yet collected."""
        twin = type(self)(self.id)
        twin.version = self.version
        twin.messages = self.messages.copy()
        twin.digest = self.digest
        twin.awaited = self.awaited
        twin.attempt = self.attempt
        twin._failed_attempts = self._failed_attempts  # noqa: SLF001 - a twin is of this very class
        twin.closed = self.closed
        twin.erased = self.erased
        twin.labels = self.labels
        twin.shortened = self.shortened
        twin.summaries = self.summaries
        twin._completions = self._completions.copy()  # noqa: SLF001 - as above
        twin._request_digests = self._request_digests.copy()  # noqa: SLF001 - as above
        twin._written_off = self._written_off  # noqa: SLF001 - as above
        return twin

    def collect(self) -> tuple[int, Sequence[ConversationEvent]]:
        """The version before the events that commands have recorded, and these events; they are new no longer."""
        new, self._new = self._new, []
        return self.version - len(new), new

    @property
    def stored_version(self) -> int:
        """How many events were there before those that commands have recorded."""
        return self.version - len(self._new)

    # Commands

    def add_messages(self, messages: Iterable[Message]) -> None:
        """The caller's side says something."""
        self._must_be_open()
        if self.awaited is not None:
            raise CompletionInProgress(self.id)
        for message in messages:
            self._record(MessageAdded(message=message))

    def shorten_context(self, shortened: ContextShortened) -> None:
        """Record that the completion that is asked for next is not asked with the whole transcript."""
        self._must_be_open()
        if self.awaited is not None:
            raise CompletionInProgress(self.id)
        self._record(shortened)

    def request_completion(self, request: CompletionRequested) -> None:
        """Ask for an answer to what has been said."""
        self._must_be_open()
        if self.awaited is not None:
            raise CompletionInProgress(self.id)
        if not self.messages:
            raise InvalidRequest("A completion needs at least one message.", param="messages")
        self._record(request)

    def refuse_completion(self, refused: CompletionRefused) -> None:
        """Record that an answer to what has been said was not asked for."""
        self._must_be_open()
        if self.awaited is not None:
            raise CompletionInProgress(self.id)
        self._record(refused)

    def fail_attempt(self, failure: AttemptFailed) -> None:
        """One attempt failed; the completion is still awaited. The same attempt again changes nothing."""
        self._must_be_awaited(failure.completion_id)
        if failure.attempt > self._failed_attempts:
            self._record(failure)

    def receive_completion(self, received: CompletionReceived) -> None:
        """Take the answer.

        It is welcome even after the call was written off as interrupted because its process seemed to be
        gone, as long as nothing has been said since: an answer that exists is not thrown away. A reply
        without any answer raises ``MalformedReply``.
        """
        if received.completion_id != self._written_off:
            self._must_be_awaited(received.completion_id)
        if not received.answers:
            raise MalformedReply("The reply holds no answer.", provider=received.provider)
        self._record(received)

    def fail_completion(self, failed: CompletionFailed) -> None:
        """Give up: no candidate answered."""
        self._must_be_awaited(failed.completion_id)
        self._record(failed)

    def interrupt_completion(self, interrupted: CompletionInterrupted) -> None:
        """The call ended without an answer that anybody took.

        Whoever was not told that an attempt's failure was stored may name that attempt, when it is the one after
        it that ends: nobody was asked for that, so it costs nothing.
        """
        self._must_be_awaited(interrupted.completion_id)
        following = self.attempt
        if following is not None and 0 < interrupted.attempts < following.number:
            interrupted = replace(
                interrupted,
                attempts=following.number,
                provider=following.provider,
                model=following.model,
                cost_usd=None if following.hold_usd is None else ZERO,
                assumed="the provider was not asked",
            )
        self._record(interrupted)

    def give_feedback(self, completion_id: UUID | None, score: Decimal, comment: str = "") -> None:
        """Judge one answer, or the whole conversation when ``completion_id`` is ``None``."""
        self.must_not_be_erased()
        if completion_id is not None and completion_id not in self._completions:
            raise CompletionNotFound(completion_id)
        if not score.is_finite() or not -1 <= score <= 1:
            raise InvalidRequest("score is a number from -1 (bad) to 1 (good).", param="score")
        self._record(FeedbackGiven(completion_id=completion_id, score=score, comment=comment))

    def close(self, reason: str = "") -> None:
        """Say that nothing more will come; closing a closed conversation changes nothing."""
        self.must_not_be_erased()
        if self.awaited is not None:
            raise CompletionInProgress(self.id)
        if not self.closed:
            self._record(ConversationClosed(reason=reason))

    def erase(self, reason: str = "") -> None:
        """Give up what was said, for ever; erasing an erased conversation changes nothing."""
        if self.awaited is not None:
            raise CompletionInProgress(self.id)
        if not self.erased:
            self._record(ConversationErased(reason=reason))

    # Questions

    def ending(self, completion_id: UUID) -> Ending:
        """How a completion stands; raises ``CompletionNotFound``."""
        try:
            return self._completions[completion_id]
        except KeyError:
            raise CompletionNotFound(completion_id) from None

    def request_digest(self, completion_id: UUID) -> str:
        """What tells whether another request is the one for this completion; empty if that had no idempotency key."""
        return self._request_digests.get(completion_id, "")

    def said_up_to(self, completion_id: UUID) -> Sequence[Message]:
        """The transcript up to and with an answer; raises ``CompletionNotFound`` if that was never given."""
        self.must_not_be_erased()
        ending = self.ending(completion_id).event
        if isinstance(ending, CompletionReceived):
            for place, message in enumerate(self.messages):
                if message is ending.answers[0].message:
                    return self.messages[: place + 1]
        raise CompletionNotFound(completion_id)

    # State

    def _record(self, event: ConversationEvent) -> None:
        self._apply(event)
        self._new.append(event)

    def _apply(self, event: ConversationEvent) -> None:
        self.version += 1
        if not isinstance(event, AttemptFailed | FeedbackGiven):
            self._written_off = None
        match event:
            case MessageAdded(message=message):
                self._say(message)
            case CompletionRequested():
                self.awaited = event.completion_id
                self.attempt = Attempt(1, event.provider, event.model, event.hold_usd)
                self._failed_attempts = 0
                self._completions[event.completion_id] = Ending(None)
                if event.request_digest:
                    self._request_digests[event.completion_id] = event.request_digest
            case CompletionReceived():
                self._end(event.completion_id, event)
                self._say(event.answers[0].message)
            case CompletionFailed() | CompletionRefused():
                self._end(event.completion_id, event)
            case CompletionInterrupted():
                self._end(event.completion_id, event)
                if event.reason == "process_gone":
                    self._written_off = event.completion_id
            case ConversationStarted(labels=labels):
                self.labels = labels
            case ConversationClosed():
                self.closed = True
            case ConversationErased():
                self.closed = self.erased = True
            case AttemptFailed(attempt=number, next_attempt=following):
                self._failed_attempts, self.attempt = number, following
            case ContextShortened():
                self.shortened = event
                if event.summary_conversation_id is not None:
                    self.summaries = (*self.summaries, event.summary_conversation_id)
            case FeedbackGiven():
                pass

    def _say(self, message: Message) -> None:
        self.messages.append(message)
        self.digest = transcript_digest(self.digest, message)

    def _end(self, completion_id: UUID, event: CompletionEnd) -> None:
        self.awaited = self.attempt = None
        self._completions[completion_id] = Ending(event)

    def must_not_be_erased(self) -> None:
        """Raise ``ConversationIsErased`` when what was said is gone."""
        if self.erased:
            raise ConversationIsErased(self.id)

    def _must_be_open(self) -> None:
        self.must_not_be_erased()
        if self.closed:
            raise ConversationIsClosed(self.id)

    def _must_be_awaited(self, completion_id: UUID) -> None:
        if self.ending(completion_id).event is not None:
            raise CompletionAlreadyEnded(completion_id)
