"""Events to rows and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

import orjson
import pytest
from event_examples import BARE_METADATA, EXAMPLES, WHOLE_METADATA
from hypothesis import given, strategies as st

from send2llm.domain.conversation_events import ConversationStarted, FeedbackGiven, MessageAdded
from send2llm.domain.errors import UnreadableEvent
from send2llm.domain.message import Message, TextPart
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import (
    EventRegistry,
    UnknownSchemaVersion,
    UnknownTopic,
)

CODEC = EventCodec(EventRegistry.default())
SECRET = "the words of a prompt"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=6,
)


def round_trip(event: object, codec: EventCodec = CODEC) -> Any:
    row = codec.encode("stream", 1, event, BARE_METADATA)
    return codec.decode(1, "stream", 1, row.topic, row.state).event


def state_of(event: object, codec: EventCodec = CODEC) -> dict[str, Any]:
    return orjson.loads(codec.encode("stream", 1, event, BARE_METADATA).state)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_are_exact_to_the_last_zero(amount):
    read = round_trip(FeedbackGiven(completion_id=None, score=amount)).score
    assert read.as_tuple() == amount.as_tuple()


@given(st.text(st.characters()))
def test_every_text_comes_back(text):
    event = MessageAdded(message=Message("user", (TextPart(text),)))
    assert round_trip(event) == event


@given(st.dictionaries(st.text(st.characters()), JSON, max_size=3))
def test_json_is_carried_as_it_is(labels):
    assert round_trip(ConversationStarted(labels=MappingProxyType(labels))).labels == labels


@given(st.text(st.characters()))
def test_rows_hold_nothing_that_jsonb_refuses(text):
    state = CODEC.encode("stream", 1, ConversationStarted(labels={text: text}), BARE_METADATA).state
    assert b"\\u0000" not in state.replace(rb"\\", b"")
    state.decode()


def test_read_only_mappings_can_be_nested():
    labels = MappingProxyType({"a": MappingProxyType({"b": (1, 2)})})
    assert round_trip(ConversationStarted(labels=labels)).labels == {"a": {"b": [1, 2]}}


def test_what_is_at_its_default_is_left_out():
    assert state_of(MessageAdded(message=Message("user", (TextPart("Hi"),))))["data"] == {
        "message": {"role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    }


def test_times_are_stored_in_utc():
    there = timezone(timedelta(hours=2))
    metadata = WHOLE_METADATA.__class__(
        **{name: getattr(WHOLE_METADATA, name) for name in WHOLE_METADATA.__slots__}
        | {"occurred_at": datetime(2026, 1, 1, 1, 0, tzinfo=there)}
    )
    state = orjson.loads(CODEC.encode("stream", 1, ConversationStarted(), metadata).state)
    assert state["meta"]["occurred_at"] == "2025-12-31T23:00:00+00:00"


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="set"):
        CODEC.encode("stream", 1, ConversationStarted(labels={"a": {1}}), BARE_METADATA)


def test_the_data_of_an_event_is_plain_json():
    event = EXAMPLES["conversation.completion_received"][0]
    data = CODEC.data(event)
    assert data["cost_usd"] == "0.000750000000"
    assert data["completion_id"] == str(event.completion_id)


class TestReadingWhatDoesNotFit:
    def stored(self, topic: str, data: object, version: object = 1) -> bytes:
        meta = state_of(ConversationStarted())["meta"] | {"schema_version": version}
        return orjson.dumps({"meta": meta, "data": data})

    def test_an_unknown_topic(self):
        with pytest.raises(UnknownTopic, match=r"'ticket\.opened'.*EventRegistry\.register"):
            CODEC.decode_event("stream", 1, "ticket.opened", self.stored("ticket.opened", {}))

    @pytest.mark.parametrize("version", [2, 99, 0])
    def test_another_schema_version(self, version):
        with pytest.raises(UnknownSchemaVersion, match=rf"'conversation\.closed'.*version {version}.*Upgrade"):
            CODEC.decode_event("stream", 1, "conversation.closed", self.stored("conversation.closed", {}, version))

    def test_missing_fields(self):
        with pytest.raises(UnreadableEvent, match=r"conversation\.message_added.*upcast"):
            CODEC.decode_event("stream", 1, "conversation.message_added", self.stored("conversation.message_added", {}))

    @pytest.mark.parametrize("state", [b"", b"{", b"\xff", b"[]", b"{}", b'{"meta": {}, "data": {}}'])
    def test_no_state_of_ours(self, state):
        with pytest.raises(UnreadableEvent, match=r"conversation\.closed"):
            CODEC.decode_event("stream", 1, "conversation.closed", state)

    def test_errors_do_not_tell_what_was_said(self):
        topic, data = "conversation.feedback_given", {"completion_id": SECRET, "score": SECRET}
        with pytest.raises(UnreadableEvent) as refusal:
            CODEC.decode_event("stream", 1, topic, self.stored(topic, data))
        assert SECRET not in str(refusal.value)
        assert refusal.value.__cause__ is None

    def test_fields_that_came_later_are_passed_over(self):
        topic = "conversation.closed"
        event = CODEC.decode_event("stream", 1, topic, self.stored(topic, {"mood": "good"}))
        assert event == EXAMPLES["conversation.closed"][1]


@dataclass(frozen=True)
class Circle:
    radius: float
    type: Literal["circle"] = "circle"


@dataclass(frozen=True)
class Square:
    side: float
    type: Literal["square"] = "square"


@dataclass(frozen=True)
class Drawn:
    """An event of somebody else's, with every kind of field."""

    shapes: tuple[Circle | Square, ...]
    at: datetime
    price: Decimal | None = None
    names: tuple[str, ...] = ()
    kind: Literal["pen", "brush"] = "pen"
    details: Mapping[str, Any] | None = None
    best: Circle | Square | None = None
    sizes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Unstorable:
    connection: object


class TestEventsOfOthers:
    def codec(self) -> EventCodec:
        registry = EventRegistry.default()
        registry.register("art.drawn", Drawn)
        return EventCodec(registry)

    def test_come_back_as_they_were(self):
        drawn = Drawn(
            shapes=(Circle(1.5), Square(2.0)),
            at=datetime(2026, 1, 1, tzinfo=UTC),
            price=Decimal("0.10"),
            names=("a", "b"),
            kind="brush",
            details={"x": [1]},
            best=Square(2.0),
            sizes=[1, 2],
        )
        assert round_trip(drawn, self.codec()) == drawn

    def test_need_a_time_zone_in_their_times(self):
        with pytest.raises(ValueError, match="time zone"):
            round_trip(Drawn((), datetime(2026, 1, 1)), self.codec())  # noqa: DTZ001 - that is the point

    def test_must_be_registered(self):
        with pytest.raises(TypeError, match=r"Drawn has no topic.*EventRegistry\.register"):
            CODEC.encode("stream", 1, Drawn((), datetime(2026, 1, 1, tzinfo=UTC)), BARE_METADATA)

    def test_must_be_storable(self):
        with pytest.raises(TypeError, match=r"Unstorable cannot be stored"):
            EventRegistry().register("some.thing", Unstorable)

    def test_must_be_dataclasses(self):
        with pytest.raises(TypeError, match="dataclass"):
            EventRegistry().register("some.thing", int)

    @pytest.mark.parametrize(("topic", "event_class"), [("art.drawn", Circle), ("art.circle", Drawn)])
    def test_topics_and_classes_are_taken_once(self, topic, event_class):
        registry = EventRegistry()
        registry.register("art.drawn", Drawn)
        with pytest.raises(ValueError, match="registered already"):
            registry.register(topic, event_class)


@dataclass(frozen=True)
class Renamed:
    """Version 3 of an event: version 1 had ``nick``, version 2 ``name``, now there are two."""

    first_name: str
    last_name: str


class TestUpcasts:
    def registry(self) -> EventRegistry:
        registry = EventRegistry()
        registry.upcast("person.renamed", 1, lambda data: {"name": data["nick"]})
        registry.upcast(
            "person.renamed",
            2,
            lambda data: dict(zip(("first_name", "last_name"), data["name"].split(" "), strict=True)),
        )
        return registry

    @pytest.mark.parametrize(
        ("version", "data"),
        [
            (1, {"nick": "Ada Lovelace"}),
            (2, {"name": "Ada Lovelace"}),
            (3, {"first_name": "Ada", "last_name": "Lovelace"}),
        ],
    )
    def test_lead_from_every_version_to_the_present(self, version, data):
        registry = self.registry()
        registry.register("person.renamed", Renamed, version=3)
        state = orjson.dumps({"meta": {"schema_version": version}, "data": data})
        assert EventCodec(registry).decode_event("stream", 1, "person.renamed", state) == Renamed("Ada", "Lovelace")

    def test_must_have_no_gaps(self):
        with pytest.raises(ValueError, match=r"version 4.*\[3\]"):
            self.registry().register("person.renamed", Renamed, version=4)

    def test_are_registered_once(self):
        with pytest.raises(ValueError, match="from version 1 already"):
            self.registry().upcast("person.renamed", 1, dict)
