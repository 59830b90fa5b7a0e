"""What a trail shows of an event without its texts."""

from dataclasses import fields

import pytest

from send2llm.application.trail import FACTS, without_texts
from send2llm.infrastructure.event_store import texts as encrypted
from send2llm.infrastructure.event_store.topics import EventRegistry

TEXTS = {
    "conversation.started": {"labels"},
    "conversation.message_added": {"message"},
    "conversation.context_shortened": {"summary"},
    "conversation.completion_requested": {"parameters", "request_digest"},
    "conversation.attempt_failed": {"detail"},
    "conversation.completion_received": {"answers"},
    "conversation.completion_failed": {"detail"},
    "conversation.completion_interrupted": {"partial_text"},
    "conversation.feedback_given": {"comment"},
    "conversation.closed": {"reason"},
    "conversation.erased": {"reason"},
    "idempotency.key_claimed": {"request_digest"},
    "budget_plan.retired": {"reason"},
    "template.version_added": {"messages", "variables"},
    "template.retired": {"reason"},
}
"""Fields that hold words of callers, of models or of operators, or digests of these."""


@pytest.mark.parametrize("event_type", list(EventRegistry.default()), ids=lambda event_type: event_type.topic)
def test_every_field_is_a_fact_or_a_text(event_type) -> None:
    known = {field.name for field in fields(event_type.event_class)}
    texts = TEXTS.get(event_type.topic, set())
    assert texts <= known
    assert FACTS.get(event_type.topic, frozenset()) == known - texts


@pytest.mark.parametrize("topic", sorted(encrypted.TEXTS))
def test_what_is_encrypted_is_no_fact(topic: str) -> None:
    assert FACTS.get(topic, frozenset()).isdisjoint(
        name for name, field in encrypted.TEXTS[topic].items() if isinstance(field, encrypted.Text)
    )


def test_texts_are_left_out_and_named() -> None:
    data = {"completion_id": "c", "answers": [{"message": "secret"}], "cost_usd": "1"}
    assert without_texts("conversation.completion_received", data) == (
        {"completion_id": "c", "cost_usd": "1"},
        ["answers"],
    )


def test_nothing_is_known_of_events_of_others() -> None:
    assert without_texts("ticket.opened", {"title": "secret"}) == ({}, ["title"])
