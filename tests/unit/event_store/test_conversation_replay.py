"""Replay equals live state: whatever happens in a conversation, what is stored of it folds to what it is, and was."""

from dataclasses import replace
from typing import Any

from event_examples import BARE_METADATA
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from send2llm.domain.conversation import Conversation
from send2llm.domain.conversation_events import CompletionRefused, ContextShortened, Stretch
from send2llm.domain.errors import Conflict, InvalidRequest, NotFound
from send2llm.domain.routing import Attempt
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.streams import conversation_stream
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.testing.conversation_stories import (
    CONVERSATION,
    answered,
    asked,
    attempt_failed,
    completion,
    failed,
    interrupted,
    user,
)

KEYS = TextKeys.generate()
CODEC = EventCodec(EventRegistry.default(), KEYS)
STREAM = conversation_stream(CONVERSATION)

LAST = 0
LONG = 10
"""Events, before which a conversation does not end."""

NUMBERS = st.sampled_from([LAST, LAST, LAST, 1, 2, 3])
"""Of calls: mostly the last one that was asked for, so that commands are refused now and then only."""
TEXTS = st.text(max_size=10)
COSTS = st.none() | st.decimals(0, 10, places=12)
REASONS = st.sampled_from(["client_disconnected", "process_gone", "shutdown"])


def state(conversation: Conversation) -> dict[str, Any]:
    """All of it, but for events that wait to be stored."""
    mutable = (list, dict)
    return {
        name: value.copy() if isinstance(value, mutable) else value
        for name, value in vars(conversation).items()
        if name != "_new"
    }


class ConversationThatIsStored(RuleBasedStateMachine):
    """The live one is never loaded: it sees its own commands only. What is stored is encrypted."""

    @initialize(labels=st.dictionaries(TEXTS, TEXTS, max_size=2))
    def start(self, labels):
        self.key = KEYS.new(STREAM)
        self.rows = []
        self.last = 1
        self.live = Conversation.start(CONVERSATION, labels=labels)
        self.past = []
        self.store()
        self.say(["Hi"])

    @rule(texts=st.lists(TEXTS, max_size=2))
    def say(self, texts):
        self.command(lambda it: it.add_messages([user(text) for text in texts]))

    @rule(number=st.integers(1, 3), hold=COSTS)
    def ask(self, number, hold):
        if self.live.awaited is None:
            self.last = number
        self.command(lambda it: it.request_completion(asked(number, hold_usd=hold)))

    @rule(number=NUMBERS, attempt=st.integers(1, 3), again=st.booleans(), cost=COSTS)
    def fail_attempt(self, number, attempt, again, cost):
        following = Attempt(attempt + 1, "other", "model", cost) if again else None
        failure = attempt_failed(number or self.last, attempt=attempt, next_attempt=following, cost_usd=cost)
        self.command(lambda it: it.fail_attempt(failure))

    @rule(number=NUMBERS, text=TEXTS, cost=COSTS)
    def answer(self, number, text, cost):
        self.command(lambda it: it.receive_completion(answered(text, number or self.last, cost_usd=cost)))

    @rule(number=NUMBERS)
    def give_up(self, number):
        self.command(lambda it: it.fail_completion(failed(number or self.last)))

    @rule(number=NUMBERS, reason=REASONS, attempts=st.integers(0, 3), text=TEXTS)
    def interrupt(self, number, reason, attempts, text):
        event = replace(interrupted(number or self.last, reason), attempts=attempts, partial_text=text)
        self.command(lambda it: it.interrupt_completion(event))

    @rule(number=NUMBERS)
    def refuse(self, number):
        request = asked(number or self.last)
        refused = CompletionRefused(
            completion_id=request.completion_id,
            requested_model=request.requested_model,
            decision=request.decision,
            error="budget_exceeded",
            detail="",
        )
        self.command(lambda it: it.refuse_completion(refused))

    @rule(number=NUMBERS, summary=TEXTS)
    def shorten(self, number, summary):
        shortened = ContextShortened(
            completion_id=completion(number or self.last),
            mode="summarise",
            left_out=(Stretch(1, 2),),
            tokens_before=10,
            tokens_after=5,
            token_limit=7,
            context_window=8,
            summary=summary,
            summary_conversation_id=completion(number + 10),
        )
        self.command(lambda it: it.shorten_context(shortened))

    @rule(number=st.none() | NUMBERS, score=st.decimals(-2, 2, places=2), comment=TEXTS)
    def judge(self, number, score, comment):
        about = None if number is None else completion(number or self.last)
        self.command(lambda it: it.give_feedback(about, score, comment))

    @precondition(lambda self: len(self.rows) > LONG)
    @rule(reason=TEXTS)
    def close(self, reason):
        self.command(lambda it: it.close(reason))

    @precondition(lambda self: len(self.rows) > LONG)
    @rule(reason=TEXTS)
    def erase(self, reason):
        self.command(lambda it: it.erase(reason))

    @invariant()
    def what_is_stored_folds_to_what_is_live(self):
        assert state(self.replayed(len(self.rows))) == state(self.live)

    @invariant()
    def what_was_stored_then_folds_to_what_was_live_then(self):
        for version, was in self.past[-4:]:
            assert state(self.replayed(version)) == was

    @invariant()
    def what_is_kept_in_memory_catches_up(self):
        version, _ = self.past[0]
        kept = self.replayed(version)
        kept.follow(self.events(version, len(self.rows)))
        assert state(kept) == state(self.live)

    @invariant()
    def a_copy_is_the_same(self):
        assert state(self.live.copy()) == state(self.live)

    def command(self, do):
        before = state(self.live)
        try:
            do(self.live)
        except (Conflict, InvalidRequest, NotFound):
            assert state(self.live) == before, "a refusal changes nothing"
        self.store()

    def store(self):
        version, events = self.live.collect()
        assert version == len(self.rows)
        for number, event in enumerate(events, version + 1):
            self.rows.append(CODEC.encode(STREAM, number, event, BARE_METADATA, self.key))
        self.past.append((len(self.rows), state(self.live)))

    def events(self, after, up_to):
        rows = self.rows[after:up_to]
        return [
            CODEC.decode_event(STREAM, row.originator_version, row.topic, row.state, self.key.wrapped) for row in rows
        ]

    def replayed(self, version):
        return Conversation.fold(CONVERSATION, self.events(0, version))


TestConversationThatIsStored = ConversationThatIsStored.TestCase
TestConversationThatIsStored.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
