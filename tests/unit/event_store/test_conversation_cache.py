"""How many folded conversations are kept, and which."""

from uuid import UUID

import pytest

from send2llm.domain.conversation import Conversation
from send2llm.domain.message import (
    ForeignPart,
    ImagePart,
    Message,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from send2llm.infrastructure.event_store.conversation_cache import ConversationCache
from send2llm.testing.conversation_stories import user


def conversation(number: int, *texts: str) -> Conversation:
    made = Conversation.start(UUID(int=number))
    made.add_messages(user(text) for text in texts)
    return made


def longer(known: Conversation, *texts: str) -> Conversation:
    twin = known.copy()
    twin.add_messages(user(text) for text in texts)
    return twin


def kept(cache: ConversationCache) -> list[int]:
    return [number for number in range(10) if cache.get(UUID(int=number)) is not None]


def test_the_least_recently_used_goes_first():
    cache = ConversationCache(max_conversations=2)
    cache.put(conversation(1))
    cache.put(conversation(2))
    cache.get(UUID(int=1))
    cache.put(conversation(3))
    assert kept(cache) == [1, 3]


def test_big_ones_take_the_room_of_many():
    cache = ConversationCache(max_size=100_000)
    for number in range(1, 5):
        cache.put(conversation(number, "x" * 10_000))
    assert kept(cache) == [1, 2, 3, 4]
    cache.put(conversation(5, "x" * 80_000))
    assert kept(cache) == [4, 5]
    assert cache.size <= 100_000


def test_what_is_too_big_alone_is_not_kept():
    cache = ConversationCache(max_size=1_000)
    cache.put(conversation(1, "x" * 10_000))
    assert (kept(cache), cache.size, len(cache)) == ([], 0, 0)


def test_a_longer_version_takes_the_place_of_the_shorter():
    cache = ConversationCache()
    short = conversation(1, "a" * 1000)
    cache.put(short)
    before = cache.size
    long = longer(short, "b" * 500)
    cache.put(long)
    assert cache.get(short.id) is long
    assert before + 500 < cache.size < before + 2000
    cache.put(short)
    assert cache.get(short.id) is long


def test_the_size_is_the_same_however_it_came_about():
    at_once, in_turn = ConversationCache(), ConversationCache()
    growing = conversation(1, "a")
    in_turn.put(growing)
    for _ in range(5):
        growing = longer(growing, "b" * 100)
        in_turn.put(growing)
    at_once.put(growing)
    assert at_once.size == in_turn.size


def test_outdated_until_a_fresh_one_comes():
    cache = ConversationCache()
    known = conversation(1)
    cache.put(known)
    assert not cache.is_outdated(known.id)
    cache.mark_outdated(known.id)
    assert cache.is_outdated(known.id)
    cache.put(known)
    assert not cache.is_outdated(known.id)


def test_what_is_not_kept_cannot_be_outdated():
    cache = ConversationCache()
    cache.mark_outdated(UUID(int=1))
    assert not cache.is_outdated(UUID(int=1))


@pytest.mark.parametrize(
    "part",
    [
        TextPart("x" * 5000),
        ImagePart("x" * 5000),
        ToolCallPart("call", "x", "x" * 5000),
        ToolResultPart("call", "x" * 5000),
        RefusalPart("x" * 5000),
        ForeignPart("openai", {"data": "x" * 5000}),
    ],
    ids=lambda part: part.type,
)
def test_every_part_takes_room(part):
    cache = ConversationCache()
    made = Conversation.start(UUID(int=1))
    made.add_messages([Message("user", (part,))])
    cache.put(made)
    assert 5000 < cache.size < 10_000
