"""The conversation: what each command does in each state."""

from dataclasses import replace
from decimal import Decimal

import pytest

from send2llm.domain.conversation import EMPTY_TRANSCRIPT, Conversation
from send2llm.domain.conversation_events import FeedbackGiven, MessageAdded
from send2llm.domain.errors import (
    CompletionAlreadyEnded,
    CompletionInProgress,
    CompletionNotFound,
    ConversationIsClosed,
    ConversationNotFound,
    InvalidRequest,
    MalformedReply,
)
from send2llm.domain.message import transcript_digest
from send2llm.domain.routing import Attempt
from send2llm.testing.conversation_stories import (
    CONVERSATION,
    answered,
    asked,
    assistant,
    attempt_failed,
    closed,
    completion,
    failed,
    given,
    interrupted,
    said,
    started,
    user,
)

AWAITING = (started(), said("Hi"), asked())
ANSWERED = (*AWAITING, answered("Hello"))


def test_a_new_conversation_has_begun_and_nothing_else():
    conversation = Conversation.start(CONVERSATION, labels={"team": "blue"})
    assert conversation.collect() == (0, [started(team="blue")])
    assert conversation.labels == {"team": "blue"}
    assert conversation.digest == EMPTY_TRANSCRIPT
    assert conversation.version == 1


def test_no_events_are_no_conversation():
    with pytest.raises(ConversationNotFound, match=str(CONVERSATION)):
        Conversation.fold(CONVERSATION, [])


class TestSaying:
    def test_each_message_is_an_event(self):
        conversation = (
            given(started())
            .when(lambda it: it.add_messages([user("Hi"), user("Are you there?")]))
            .then(said("Hi"), said("Are you there?"))
        )
        assert [message.text for message in conversation.messages] == ["Hi", "Are you there?"]

    def test_what_was_said_elsewhere_can_be_brought_along(self):
        given(started()).when(lambda it: it.add_messages([user("Hi"), assistant("Hello")])).then(
            said("Hi"), MessageAdded(message=assistant("Hello"))
        )

    def test_nothing_is_no_event(self):
        given(started()).when(lambda it: it.add_messages([])).then()

    def test_not_while_an_answer_is_awaited(self):
        given(*AWAITING).when(lambda it: it.add_messages([user("Hello?")])).then_refused(CompletionInProgress)

    def test_not_once_closed(self):
        given(started(), closed()).when(lambda it: it.add_messages([user("Hi")])).then_refused(ConversationIsClosed)


class TestAsking:
    def test_the_conversation_waits(self):
        conversation = given(started(), said("Hi")).when(lambda it: it.request_completion(asked())).then(asked())
        assert conversation.awaited == completion()
        assert conversation.ending(completion()).event is None

    def test_needs_something_said(self):
        refusal = given(started()).when(lambda it: it.request_completion(asked())).then_refused(InvalidRequest)
        assert isinstance(refusal, InvalidRequest)
        assert refusal.param == "messages"

    def test_one_at_a_time(self):
        given(*AWAITING).when(lambda it: it.request_completion(asked(2))).then_refused(CompletionInProgress)

    def test_not_once_closed(self):
        given(started(), said("Hi"), closed()).when(lambda it: it.request_completion(asked())).then_refused(
            ConversationIsClosed
        )

    @pytest.mark.parametrize(
        "ending", [answered("Hello"), failed(), interrupted()], ids=lambda event: type(event).__name__
    )
    def test_again_after_any_ending(self, ending):
        given(*AWAITING, ending).when(lambda it: it.request_completion(asked(2))).then(asked(2))


class TestEnding:
    def test_the_answer_joins_the_transcript(self):
        conversation = (
            given(*AWAITING).when(lambda it: it.receive_completion(answered("Hello"))).then(answered("Hello"))
        )
        assert conversation.messages == [user("Hi"), assistant("Hello")]
        assert conversation.awaited is None
        assert conversation.ending(completion()).event == answered("Hello")

    def test_of_several_answers_the_first_joins_the_transcript(self):
        two = answered("One", answers=(answered("One").answers[0], answered("Two").answers[0]))
        conversation = given(*AWAITING).when(lambda it: it.receive_completion(two)).then(two)
        assert conversation.messages[-1] == assistant("One")

    def test_a_reply_without_an_answer_is_none(self):
        given(*AWAITING).when(lambda it: it.receive_completion(answered("", answers=()))).then_refused(MalformedReply)

    def test_failed_attempts_leave_it_waiting(self):
        conversation = (
            given(*AWAITING)
            .when(
                lambda it: it.fail_attempt(attempt_failed()),
                lambda it: it.fail_attempt(attempt_failed(attempt=2)),
                lambda it: it.receive_completion(answered("Hello")),
            )
            .then(attempt_failed(), attempt_failed(attempt=2), answered("Hello"))
        )
        assert conversation.awaited is None

    @pytest.mark.parametrize(
        ("command", "event"),
        [(Conversation.fail_completion, failed()), (Conversation.interrupt_completion, interrupted())],
    )
    def test_without_an_answer_the_transcript_stays(self, command, event):
        conversation = given(*AWAITING).when(lambda it: command(it, event)).then(event)
        assert conversation.messages == [user("Hi")]
        assert conversation.awaited is None
        assert conversation.ending(completion()).event == event

    @pytest.mark.parametrize(
        "first", [answered("Hello"), failed(), interrupted()], ids=lambda event: type(event).__name__
    )
    @pytest.mark.parametrize(
        "again",
        [
            lambda it: it.receive_completion(answered("Hello")),
            lambda it: it.fail_completion(failed()),
            lambda it: it.interrupt_completion(interrupted()),
            lambda it: it.fail_attempt(attempt_failed()),
        ],
        ids=["receive", "fail", "interrupt", "fail_attempt"],
    )
    def test_only_once(self, first, again):
        given(*AWAITING, first).when(again).then_refused(CompletionAlreadyEnded)

    @pytest.mark.parametrize(
        "command",
        [
            lambda it: it.receive_completion(answered("Hello", 9)),
            lambda it: it.fail_completion(failed(9)),
            lambda it: it.interrupt_completion(interrupted(9)),
            lambda it: it.fail_attempt(attempt_failed(9)),
            lambda it: it.ending(completion(9)),
        ],
        ids=["receive", "fail", "interrupt", "fail_attempt", "ending"],
    )
    def test_only_what_was_asked_for(self, command):
        given(*AWAITING).when(command).then_refused(CompletionNotFound)


class TestInterruptionOfAnAttemptThatHasFailed:
    """By whoever was not told that its failure, and what was to follow, is stored."""

    HELD = Decimal("0.5")
    SAID = replace(interrupted(), attempts=1, provider="openai", cost_usd=HELD, assumed="may have charged all")

    @pytest.mark.parametrize(("held", "cost"), [(HELD, Decimal(0)), (None, None)])
    def test_the_attempt_that_was_to_follow_ends_and_costs_nothing(self, held, cost):
        followed = attempt_failed(next_attempt=Attempt(2, "second", "model", held))
        ended = replace(
            self.SAID,
            attempts=2,
            provider="second",
            model="model",
            cost_usd=cost,
            assumed="the provider was not asked",
        )
        given(*AWAITING, followed).when(lambda it: it.interrupt_completion(self.SAID)).then(ended)

    def test_a_stream_that_broke_fails_and_is_charged(self):
        given(*AWAITING, attempt_failed()).when(lambda it: it.interrupt_completion(self.SAID)).then(self.SAID)

    def test_the_attempt_under_way_is_charged(self):
        followed = attempt_failed(next_attempt=Attempt(2, "second", "model", self.HELD))
        second = replace(self.SAID, attempts=2)
        given(*AWAITING, followed).when(lambda it: it.interrupt_completion(second)).then(second)


class TestLateAnswers:
    """A process that seemed to be gone may come back with its answer."""

    WRITTEN_OFF = (*AWAITING, interrupted(reason="process_gone"))

    def test_is_taken(self):
        conversation = (
            given(*self.WRITTEN_OFF).when(lambda it: it.receive_completion(answered("Hello"))).then(answered("Hello"))
        )
        assert conversation.messages == [user("Hi"), assistant("Hello")]
        assert conversation.ending(completion()).event == answered("Hello")

    def test_survives_a_copy(self):
        conversation = Conversation.fold(CONVERSATION, self.WRITTEN_OFF).copy()
        conversation.receive_completion(answered("Hello"))
        assert conversation.collect() == (4, [answered("Hello")])

    def test_is_taken_after_feedback(self):
        feedback = FeedbackGiven(completion_id=completion(), score=Decimal(-1))
        given(*self.WRITTEN_OFF, feedback).when(lambda it: it.receive_completion(answered("Hello"))).then(
            answered("Hello")
        )

    @pytest.mark.parametrize(
        "meanwhile",
        [(said("Still there?"),), (asked(2),), (asked(2), interrupted(2, "process_gone")), (closed(),)],
        ids=["said", "asked", "asked and written off too", "closed"],
    )
    def test_comes_too_late_when_the_conversation_went_on(self, meanwhile):
        given(*self.WRITTEN_OFF, *meanwhile).when(lambda it: it.receive_completion(answered("Hello"))).then_refused(
            CompletionAlreadyEnded
        )

    def test_is_taken_once(self):
        given(*self.WRITTEN_OFF, answered("Hello")).when(
            lambda it: it.receive_completion(answered("Hello"))
        ).then_refused(CompletionAlreadyEnded)

    @pytest.mark.parametrize("reason", ["client_disconnected", "provider_failed", "shutdown"])
    def test_other_interruptions_are_final(self, reason):
        given(*AWAITING, interrupted(reason=reason)).when(
            lambda it: it.receive_completion(answered("Hello"))
        ).then_refused(CompletionAlreadyEnded)


class TestFeedback:
    def test_on_one_answer(self):
        given(*ANSWERED).when(lambda it: it.give_feedback(completion(), Decimal("0.5"), "fair")).then(
            FeedbackGiven(completion_id=completion(), score=Decimal("0.5"), comment="fair")
        )

    def test_on_the_whole_conversation_even_when_closed(self):
        given(*ANSWERED, closed()).when(lambda it: it.give_feedback(None, Decimal(1))).then(
            FeedbackGiven(completion_id=None, score=Decimal(1))
        )

    def test_on_an_unknown_answer(self):
        given(*ANSWERED).when(lambda it: it.give_feedback(completion(9), Decimal(1))).then_refused(CompletionNotFound)

    @pytest.mark.parametrize("score", ["1.01", "-1.01", "Infinity", "NaN", "sNaN"])
    def test_the_score_has_bounds(self, score):
        given(*ANSWERED).when(lambda it: it.give_feedback(None, Decimal(score))).then_refused(InvalidRequest)


class TestClosing:
    def test_closes(self):
        assert given(*ANSWERED).when(lambda it: it.close("done")).then(closed("done")).closed

    def test_twice_changes_nothing(self):
        given(*ANSWERED, closed("done")).when(lambda it: it.close("really")).then()

    def test_not_while_an_answer_is_awaited(self):
        given(*AWAITING).when(lambda it: it.close()).then_refused(CompletionInProgress)


class TestCopies:
    def test_go_their_own_way(self):
        original = Conversation.fold(CONVERSATION, ANSWERED)
        twin = original.copy()
        twin.add_messages([user("More")])
        twin.request_completion(asked(2))
        assert original.version == 4
        assert original.messages == [user("Hi"), assistant("Hello")]
        with pytest.raises(CompletionNotFound):
            original.ending(completion(2))

    def test_leave_uncollected_events_behind(self):
        conversation = Conversation.start(CONVERSATION)
        assert conversation.copy().collect() == (1, [])

    def test_follow_what_was_stored_since(self):
        behind = Conversation.fold(CONVERSATION, AWAITING)
        behind.follow([answered("Hello")])
        whole = Conversation.fold(CONVERSATION, ANSWERED)
        assert (behind.version, behind.digest, behind.messages) == (
            whole.version,
            whole.digest,
            whole.messages,
        )


def test_events_are_collected_once():
    conversation = Conversation.start(CONVERSATION)
    conversation.collect()
    conversation.add_messages([user("Hi")])
    assert conversation.collect() == (1, [said("Hi")])
    assert conversation.collect() == (2, [])


def test_the_digest_is_that_of_the_transcript():
    conversation = Conversation.fold(CONVERSATION, (*ANSWERED, failed(), said("More")))
    digest = EMPTY_TRANSCRIPT
    for message in conversation.messages:
        digest = transcript_digest(digest, message)
    assert conversation.digest == digest
