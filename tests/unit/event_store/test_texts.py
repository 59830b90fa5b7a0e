"""What is said is encrypted, and nothing else; what is encrypted comes back, or is erased."""

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from event_examples import BARE_METADATA, EXAMPLES, GOLDEN
from hypothesis import given, strategies as st

from send2llm.domain.conversation_events import MessageAdded
from send2llm.domain.errors import ConfigurationError
from send2llm.domain.message import ERASED, Message, TextPart
from send2llm.infrastructure.event_store.codec import MARK_OF_TEXTS, EventCodec
from send2llm.infrastructure.event_store.text_keys import LOST, TextKeys, UnreadableText
from send2llm.infrastructure.event_store.texts import TEXTS, put_erased, put_texts, take_texts
from send2llm.infrastructure.event_store.topics import EventRegistry

KEYS = TextKeys.generate()
CODEC = EventCodec(EventRegistry.default(), KEYS)
STREAM = "conversation-1"

PUBLIC = {
    "labels", "role", "format", "requested_model", "provider", "model", "process", "price_version", "idempotency_key",
    "reason", "error", "assumed", "finish_reason", "response_id", "response_model", "mode", "strategy", "scope",
    "period_key", "type",
}  # fmt: skip
"""Fields of conversations' events that hold text and stay readable: they are for the books."""

EXAMPLE_EVENTS = [(topic, number, event) for topic in TEXTS for number, event in enumerate(EXAMPLES[topic], 1)]


def encrypted(event: object, version: int = 1) -> tuple[bytes, bytes]:
    """The state of an event, and the stored key."""
    key = KEYS.new(STREAM)
    return CODEC.encode(STREAM, version, event, BARE_METADATA, key).state, key.wrapped


WORDS_OF_OURS = {"", "text", "openai", "function", "user"}


@pytest.mark.parametrize(("topic", "number", "event"), EXAMPLE_EVENTS, ids=lambda value: str(value)[:40])
class TestEachExample:
    def test_comes_back_with_the_key(self, topic, number, event):
        state, key = encrypted(event, number)
        assert CODEC.decode_event(STREAM, number, topic, state, key) == event

    def test_shows_none_of_its_texts(self, topic, number, event):
        data = orjson.loads(CODEC.encode(STREAM, number, event, BARE_METADATA).state)["data"]
        texts = set(strings(take_texts(data, TEXTS[topic])))
        shown = orjson.loads(encrypted(event, number)[0])
        assert not texts & set(strings(shown["data"])) - WORDS_OF_OURS
        assert ("texts" in shown) == bool(texts)

    def test_is_an_event_of_its_class_without_the_key(self, topic, number, event):
        state, _ = encrypted(event, number)
        erased = CODEC.decode_event(STREAM, number, topic, state)
        assert type(erased) is type(event)
        for name in ("completion_id", "cost_usd", "reported_usage", "estimated_usage", "decision", "score", "attempt"):
            assert getattr(erased, name, None) == getattr(event, name, None)

    def test_as_plain_json_it_is_the_same(self, topic, number, event):
        state, key = encrypted(event, number)
        plain = CODEC.encode(STREAM, number, event, BARE_METADATA).state
        assert CODEC.read_plain(STREAM, number, topic, state, key) == CODEC.read_plain(STREAM, number, topic, plain)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in strings(one)]


def test_every_field_that_can_hold_text_is_encrypted_or_said_to_be_public():
    """Who adds a field to an event decides whether somebody's words may stand in it."""
    for topic, examples in EXAMPLES.items():
        if topic.startswith("conversation.") and topic != "conversation.erased":
            for event in examples:
                data = orjson.loads(CODEC.encode(STREAM, 1, event, BARE_METADATA, KEYS.new(STREAM)).state)["data"]
                left = set(names_of_texts(data)) - PUBLIC - {"completion_id", "budget_id", "hold_id", "period_end"}
                assert not left - AMOUNTS, (topic, left)


AMOUNTS = {
    "cost_usd", "hold_usd", "needed_usd", "limit_usd", "carried_over_usd", "settled_usd", "lent_usd", "left_usd",
    "score", "summary_conversation_id", "summary_completion_id", "allowance_id", "reported_cost_usd", "name",
    "detail", "amount_usd", "why",
}  # fmt: skip
"""Amounts and ids are text in JSON; ``name``, ``detail`` and ``why`` are those of templates, budgets and strategies."""


def names_of_texts(value: Any, name: str = "") -> list[str]:
    if isinstance(value, str):
        return [name]
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in ([] if key == "labels" else names_of_texts(one, key))]
    return [found for one in value for found in names_of_texts(one, name)] if isinstance(value, list) else []


ADDED_SINCE = {"conversation.completion_requested": {"request_digest": ""}}
"""Fields that events have only since the golden file of encrypted ones was written."""


def test_what_was_encrypted_once_is_read_for_ever():
    golden = json.loads((GOLDEN / "encrypted" / "conversation.json").read_text())
    codec = EventCodec(EventRegistry.default(), TextKeys([bytes.fromhex(golden["master_key"])]))
    wrapped = bytes.fromhex(golden["wrapped"])
    assert set(golden["states"]) == set(TEXTS)
    for topic, states in golden["states"].items():
        for number, state in enumerate(states, 1):
            read = codec.decode_event(golden["stream"], number, topic, orjson.dumps(state), wrapped)
            assert read == replace(EXAMPLES[topic][number - 1], **ADDED_SINCE.get(topic, {}))


@given(st.text(), st.dictionaries(st.text(), st.text() | st.none() | st.booleans()))
def test_any_text_comes_back(text, extras):
    event = MessageAdded(message=Message("user", (TextPart(text),), extras=extras))
    state, key = encrypted(event)
    assert CODEC.decode_event(STREAM, 1, "conversation.message_added", state, key) == event
    assert MARK_OF_TEXTS in state
    with pytest.raises(UnreadableText, match="not stored any more"):
        CODEC.decode_event(STREAM, 1, "conversation.message_added", state, LOST)


def test_a_message_keeps_its_role():
    state, _ = encrypted(MessageAdded(message=Message("tool", (TextPart("secret"),), name="Ann")))
    erased = CODEC.decode_event(STREAM, 1, "conversation.message_added", state)
    assert erased == MessageAdded(message=Message("tool", (ERASED,)))


class TestWhoChangesSomething:
    event = MessageAdded(message=Message("user", (TextPart("secret"),)))

    def read(self, state: bytes, key: bytes | None, *, stream: str = STREAM, version: int = 1) -> Any:
        return CODEC.decode_event(stream, version, "conversation.message_added", state, key)

    def test_a_text_is_for_its_place_alone(self):
        state, key = encrypted(self.event)
        with pytest.raises(UnreadableText, match="does not fit the key"):
            self.read(state, key, version=2)

    def test_a_key_is_for_its_conversation_alone(self):
        state, key = encrypted(self.event)
        with pytest.raises(UnreadableText, match="restore its row"):
            self.read(state, key, stream="conversation-2")

    @pytest.mark.parametrize("place", [0, 8, 20, -1])
    def test_a_key_that_was_changed(self, place):
        state, key = encrypted(self.event)
        changed = bytearray(key)
        changed[place] ^= 1
        with pytest.raises(UnreadableText):
            self.read(state, bytes(changed))

    def test_a_text_that_was_changed(self):
        state, key = encrypted(self.event)
        loaded = orjson.loads(state)
        for texts in (loaded["texts"][:-8] + "AAAAAAA=", "", "?", "AAAA"):
            with pytest.raises(UnreadableText):
                self.read(orjson.dumps({**loaded, "texts": texts}), key)

    def test_without_the_master_key_it_is_not_taken_for_erased(self):
        state, key = encrypted(self.event)
        for keys in (None, TextKeys.generate()):
            codec = EventCodec(EventRegistry.default(), keys)
            with pytest.raises(UnreadableText, match=f"master key {KEYS.name}, which this process does not have"):
                codec.decode_event(STREAM, 1, "conversation.message_added", state, key)


class TestMasterKeys:
    def test_the_first_one_is_for_new_conversations(self):
        old = TextKeys.parse("07" * 32, "encryption.key")
        key = old.new(STREAM)
        both = TextKeys.parse(f"{'08' * 32}, {'07' * 32}", "encryption.key")
        assert (both.names[1], both.name == old.name) == (old.name, False)
        assert both.open(STREAM, key.wrapped).decrypt(key.encrypt(b"secret", 1), 1) == b"secret"
        anew = both.rewrapped(STREAM, key.wrapped)
        assert anew is not None
        assert both.rewrapped(STREAM, anew) is None
        new = TextKeys.parse("08" * 32, "encryption.key")
        assert new.open(STREAM, anew).decrypt(key.encrypt(b"secret", 1), 1) == b"secret"
        with pytest.raises(UnreadableText, match="which this process does not have"):
            new.open(STREAM, key.wrapped)

    def test_a_file_is_made_once_and_for_its_owner_alone(self, tmp_path):
        path = tmp_path / "data" / "texts.key"
        made = TextKeys.of_file(path)
        assert TextKeys.of_file(path).name == made.name
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("text", ["", "\n", "short", "07" * 31, "zz" * 32])
    def test_what_is_no_key(self, text):
        with pytest.raises(ConfigurationError) as refused:
            TextKeys.parse(text, "encryption.key")
        assert not text.strip() or text not in str(refused.value)


@pytest.mark.parametrize(("topic", "number", "event"), EXAMPLE_EVENTS, ids=lambda value: str(value)[:40])
def test_texts_are_put_back_where_they_were_taken_from(topic, number, event):
    whole = orjson.loads(CODEC.encode(STREAM, number, event, BARE_METADATA).state)["data"]
    data = orjson.loads(orjson.dumps(whole))
    put_texts(data, take_texts(data, TEXTS[topic]))
    assert data == whole


def test_what_stands_for_an_erased_text_is_each_events_own():
    """An upcast may change what it is given."""
    data: dict[str, Any] = {"message": {"role": "user"}}
    put_erased(data, TEXTS["conversation.message_added"])
    data["message"]["parts"].append("changed")
    again: dict[str, Any] = {"message": {"role": "user"}}
    put_erased(again, TEXTS["conversation.message_added"])
    assert len(again["message"]["parts"]) == 1
