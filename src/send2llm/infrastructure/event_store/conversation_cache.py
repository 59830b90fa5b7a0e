"""Folded conversations, kept so that a turn costs what is new and not what is old."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from send2llm.domain.conversation import Conversation
from send2llm.domain.message import (
    EmbeddingPart,
    ForeignPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

_MESSAGE_SIZE = 600
"""About what a message takes in memory besides its text: itself, its parts, its event, slots in lists."""

_CONVERSATION_SIZE = 1_000


@dataclass(slots=True)
class _Entry:
    conversation: Conversation
    size: int
    outdated: bool = False


class ConversationCache:
    """Keeps conversations in memory; the least recently used go first when there is no room.

    There is room for ``max_conversations``, together of ``max_size`` bytes (estimated); a single one that
    is bigger is not kept. What is kept is never changed: it is a true beginning of its stream, which may have grown
    since. A cache belongs to one event loop.
    """

    def __init__(self, *, max_conversations: int = 10_000, max_size: int = 256 * 1024 * 1024) -> None:
        self._max_conversations = max_conversations
        self._max_size = max_size
        self._entries: OrderedDict[UUID, _Entry] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes of all conversations, estimated."""
        return self._size

    def get(self, conversation_id: UUID) -> Conversation | None:
        """The conversation, not to be changed, as far as it is known."""
        entry = self._entries.get(conversation_id)
        if entry is None:
            return None
        self._entries.move_to_end(conversation_id)
        return entry.conversation

    def is_outdated(self, conversation_id: UUID) -> bool:
        """Whether the stream is known to have grown since."""
        entry = self._entries.get(conversation_id)
        return entry is not None and entry.outdated

    def mark_outdated(self, conversation_id: UUID) -> None:
        """Remember that somebody else has appended to the stream."""
        if entry := self._entries.get(conversation_id):
            entry.outdated = True

    def forget(self, conversation_id: UUID) -> None:
        """Keep nothing of a conversation."""
        entry = self._entries.pop(conversation_id, None)
        if entry is not None:
            self._size -= entry.size

    def put(self, conversation: Conversation) -> None:
        """Keep a conversation, which must not change any more, unless a later version is known already."""
        known = self._entries.get(conversation.id)
        if known is not None and known.conversation.version > conversation.version:
            return
        if known is None:
            size = _CONVERSATION_SIZE + _size_of(conversation.messages)
        else:
            # Only what is new is looked at: transcripts are never changed, they grow.
            size = known.size + _size_of(conversation.messages[len(known.conversation.messages) :])
            self._size -= known.size
        self._entries[conversation.id] = _Entry(conversation, size)
        self._entries.move_to_end(conversation.id)
        self._size += size
        self._make_room()

    def _make_room(self) -> None:
        while self._size > self._max_size or len(self._entries) > self._max_conversations:
            _, entry = self._entries.popitem(last=False)
            self._size -= entry.size


def _size_of(messages: Iterable[Message]) -> int:
    return sum(_MESSAGE_SIZE + sum(map(_part_size, message.parts)) for message in messages)


def _part_size(part: object) -> int:
    match part:
        case TextPart(text=text) | ToolResultPart(content=text) | RefusalPart(refusal=text) | ImagePart(url=text):
            return len(text)
        case ToolCallPart(name=name, arguments=arguments):
            return len(name) + len(arguments)
        case ReasoningPart(text=text, signature=signature):
            return len(text) + len(signature)
        case EmbeddingPart(vector=vector):
            return len(vector)
        case ForeignPart(body=body):
            return len(str(body))
    return 0
