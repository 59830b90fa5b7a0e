"""An example or two of every stored event: one with every field, one with as few as can be.

Run this file to write the golden files of events that have none yet. Golden files that exist are never changed:
they are what databases out there hold.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import orjson
from budget_event_examples import BUDGET_EXAMPLES
from template_event_examples import TEMPLATE_EXAMPLES

from send2llm.application.context import Metadata
from send2llm.domain.completion import Answer, Parameters, Usage
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
    ConversationStarted,
    FeedbackGiven,
    MessageAdded,
    Stretch,
)
from send2llm.domain.idempotency import IdempotencyKeyClaimed
from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.domain.prompt_template_events import TemplateUse
from send2llm.domain.routing import Attempt, Candidate, Decision, PaidBy, PassedOver
from send2llm.domain.shortfall import Shortfall
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.texts import TEXTS
from send2llm.infrastructure.event_store.topics import EventRegistry

GOLDEN = Path(__file__).parent / "golden"

COMPLETION = UUID("0192e4a0-0000-7000-8000-000000000001")
WHOLE_METADATA = Metadata(
    event_id=UUID("0192e4a0-0000-7000-8000-0000000000e1"),
    occurred_at=datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC),
    correlation_id=UUID("0192e4a0-0000-7000-8000-0000000000c1"),
    causation_id=UUID("0192e4a0-0000-7000-8000-0000000000c2"),
    actor="key:reporting",
    tenant="acme",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
)
BARE_METADATA = Metadata(
    event_id=UUID("0192e4a0-0000-7000-8000-0000000000e2"),
    occurred_at=datetime(2026, 11, 23, 12, 30, 16, tzinfo=UTC),
    correlation_id=UUID("0192e4a0-0000-7000-8000-0000000000c1"),
    causation_id=None,
    actor="anonymous",
    tenant="default",
)
USAGE = Usage(120, 45, 64, 32, 16)
EVERY_PART = (
    TextPart("Grüße, \U0001f600 \x00 \ud83d \ufdd0", extras={"cache_control": {"type": "ephemeral"}}),
    ImagePart("https://example.com/cat.png", "high", extras={"a": 1}),
    ToolCallPart("call_1", "clock", '{"zone": "UTC"}', extras={"a": 1}),
    ToolResultPart("call_1", "12:30", extras={"a": 1}),
    RefusalPart("I can't help with that.", extras={"a": 1}),
    ForeignPart("openai", {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
)
ANSWER = Answer(Message("assistant", (TextPart("It is noon."),)), "stop")

EXAMPLES = {
    "conversation.started": [ConversationStarted(labels={"team": "blue"}), ConversationStarted()],
    "conversation.message_added": [
        MessageAdded(message=Message("user", EVERY_PART, "ann", {"weight": 1.5})),
        MessageAdded(message=Message("user", (TextPart("Hi"),))),
    ],
    "conversation.context_shortened": [
        ContextShortened(
            completion_id=COMPLETION,
            mode="summarised",
            left_out=(Stretch(2, 5), Stretch(7, 20)),
            tokens_before=9000,
            tokens_after=3000,
            token_limit=4000,
            context_window=8192,
            summary="They spoke of the weather.",
            summary_conversation_id=UUID("0192e4a0-0000-7000-8000-0000000000a2"),
            summary_completion_id=UUID("0192e4a0-0000-7000-8000-000000000002"),
        ),
        ContextShortened(
            completion_id=COMPLETION,
            mode="trimmed",
            left_out=(Stretch(1, 2),),
            tokens_before=9000,
            tokens_after=3000,
            token_limit=4000,
            context_window=8192,
        ),
    ],
    "conversation.completion_requested": [
        CompletionRequested(
            completion_id=COMPLETION,
            requested_model="cheap",
            parameters=Parameters(
                max_output_tokens=100,
                temperature=0.7,
                top_p=0.9,
                stop=("END", "STOP"),
                seed=7,
                choices=2,
                tools=({"type": "function", "function": {"name": "clock"}},),
                tool_choice={"type": "function", "function": {"name": "clock"}},
                response_format={"type": "json_object"},
                format="other",
                extras={"logit_bias": {"50256": -100}},
            ),
            decision=Decision(
                "route", (Candidate("openai", "gpt-4o", "number 1"), Candidate("local", "m", "number 2"))
            ),
            provider="openai",
            model="gpt-4o",
            process="host-1-abc",
            streaming=True,
            price_version="genai-prices 0.2.3",
            hold_usd=Decimal("0.012345678901"),
            output_limit=80,
            paid_by=(PaidBy(UUID("0192e4a0-0000-7000-8000-0000000000b1"), "2026-11"),),
            passed_over=(PassedOver("azure", "gpt-4o", "budget_exceeded", "The call may cost 1 USD."),),
            idempotency_key="order-66",
            request_digest="00112233445566778899aabbccddeeff",
            template=TemplateUse("support", 3),
        ),
        CompletionRequested(
            completion_id=COMPLETION,
            requested_model="local/m",
            parameters=Parameters(tool_choice="auto"),
            decision=Decision("named", (Candidate("local", "m", "named by the caller"),)),
            provider="local",
            model="m",
            process="host-1-abc",
        ),
    ],
    "conversation.attempt_failed": [
        AttemptFailed(
            completion_id=COMPLETION,
            attempt=2,
            provider="openai",
            model="gpt-4o",
            error="provider_overloaded",
            detail="The provider is too busy (503).",
            retryable=True,
            status=503,
            duration=0.25,
            cost_usd=Decimal("0.012345678901"),
            assumed="the provider may have charged",
            next_attempt=Attempt(
                3, "local", "m", Decimal("0.0001"), (PaidBy(UUID("0192e4a0-0000-7000-8000-0000000000b1"), "2026-11"),)
            ),
        ),
        AttemptFailed(
            completion_id=COMPLETION,
            attempt=1,
            provider="openai",
            model="gpt-4o",
            error="provider_connection_failed",
            detail="",
            retryable=True,
            status=None,
            duration=0.001,
        ),
    ],
    "conversation.completion_received": [
        CompletionReceived(
            completion_id=COMPLETION,
            provider="openai",
            model="gpt-4o",
            answers=(ANSWER, Answer(Message("assistant", EVERY_PART), "tool_calls")),
            attempts=2,
            duration=1.5,
            time_to_first_token=0.125,
            reported_usage=USAGE,
            estimated_usage=USAGE,
            cost_usd=Decimal("0.000750000000"),
            price_version="genai-prices 0.2.3",
            response_id="chatcmpl-1",
            response_model="gpt-4o-2024-08-06",
            assumed="no usage was reported",
        ),
        CompletionReceived(
            completion_id=COMPLETION, provider="local", model="m", answers=(ANSWER,), attempts=1, duration=1.5
        ),
    ],
    "conversation.completion_failed": [
        CompletionFailed(
            completion_id=COMPLETION, error="provider_overloaded", detail="Too busy.", attempts=3, duration=9.5
        )
    ],
    "conversation.completion_interrupted": [
        CompletionInterrupted(
            completion_id=COMPLETION,
            reason="provider_failed",
            partial_text="It is",
            duration=2.5,
            reported_usage=USAGE,
            estimated_usage=USAGE,
            cost_usd=Decimal("1E-12"),
            price_version="genai-prices 0.2.3",
            assumed="the part that came",
            attempts=2,
            provider="openai",
            model="gpt-4o",
        ),
        CompletionInterrupted(completion_id=COMPLETION, reason="process_gone"),
    ],
    "conversation.completion_refused": [
        CompletionRefused(
            completion_id=COMPLETION,
            requested_model="cheap",
            decision=Decision("route", (Candidate("openai", "gpt-4o", "number 1"),)),
            error="budget_exceeded",
            detail="The call may cost 0.5 USD.",
            shortfall=Shortfall(
                budget_id=UUID("0192e4a0-0000-7000-8000-0000000000b1"),
                scope="provider=openai",
                period_key="2026-11",
                period_end=datetime(2026, 11, 30, 23, 0, tzinfo=UTC),
                needed_usd=Decimal("0.5"),
                limit_usd=Decimal(100),
                carried_over_usd=Decimal("12.5"),
                settled_usd=Decimal(112),
                lent_usd=Decimal("0.25"),
                left_usd=Decimal("0.25"),
            ),
            passed_over=(PassedOver("openai", "gpt-4o", "budget_exceeded", "The call may cost 0.5 USD."),),
        ),
        CompletionRefused(
            completion_id=COMPLETION,
            requested_model="local/m",
            decision=Decision("named", (Candidate("local", "m", "named by the caller"),)),
            error="price_unknown",
            detail="The model local/m has no known price.",
        ),
    ],
    "conversation.feedback_given": [
        FeedbackGiven(completion_id=COMPLETION, score=Decimal("-0.50"), comment="wrong"),
        FeedbackGiven(completion_id=None, score=Decimal(1)),
    ],
    "conversation.closed": [ConversationClosed(reason="solved"), ConversationClosed()],
    "conversation.erased": [ConversationErased(reason="asked for on 2026-11-27"), ConversationErased()],
    "idempotency.key_claimed": [
        IdempotencyKeyClaimed(
            conversation_id=UUID("0192e4a0-0000-7000-8000-0000000000a1"),
            completion_id=COMPLETION,
            request_digest="00112233445566778899aabbccddeeff",
        )
    ],
    **BUDGET_EXAMPLES,
    **TEMPLATE_EXAMPLES,
}


def states(topic: str, codec: EventCodec) -> list[dict[str, object]]:
    """The states of a topic's examples, as they are stored today."""
    metadata = (WHOLE_METADATA, BARE_METADATA)
    return [
        orjson.loads(codec.encode("stream", number, event, metadata[number - 1]).state)
        for number, event in enumerate(EXAMPLES[topic], 1)
    ]


def write_missing() -> None:
    """Write the golden files that do not exist yet."""
    registry = EventRegistry.default()
    for event_type in registry:
        file = GOLDEN / f"{event_type.topic}.v{event_type.version}.json"
        if not file.exists():
            content = json.dumps(states(event_type.topic, EventCodec(registry)), indent=2, ensure_ascii=True)
            file.write_text(content + "\n")


def write_encrypted() -> None:
    """Write the golden file of encrypted events, if it does not exist yet."""
    file = GOLDEN / "encrypted" / "conversation.json"
    if file.exists():
        return
    master = bytes(range(32))
    keys = TextKeys([master])
    key = keys.new("stream")
    codec = EventCodec(EventRegistry.default(), keys)
    stored = {
        topic: [
            orjson.loads(codec.encode("stream", number, event, BARE_METADATA, key).state)
            for number, event in enumerate(EXAMPLES[topic], 1)
        ]
        for topic in TEXTS
    }
    content = {"master_key": master.hex(), "stream": "stream", "wrapped": key.wrapped.hex(), "states": stored}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    write_missing()
    write_encrypted()
