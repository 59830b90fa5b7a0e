"""What each conversation has said so far, as a digest and a length, in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from send2llm.domain.message import ERASED, Message, TextPart, transcript_digest
from send2llm.infrastructure.event_store import text_escape
from send2llm.infrastructure.event_store.topics import EventRegistry

MOST_REMEMBERED = 50_000
"""Conversations, about 400 bytes each. One that comes back later is read again from its beginning."""

ReadStream = Callable[[str, int], Iterable[tuple[str, Any]]]
"""Topic and data of a stream's events up to a version; data only where something is said."""

MESSAGE_ADDED, RECEIVED = "conversation.message_added", "conversation.completion_received"


@dataclass(slots=True)
class Transcript:
    """``digest`` is the domain's own: what was said counts, not how it was written."""

    version: int = 0
    digest: bytes = b""
    messages: int = 0
    characters: int = 0
    erased: bool = False
    """What was said is not known any more: the digest and the characters mean nothing."""


class Transcripts:
    """The transcripts of the conversations that spoke lately."""

    def __init__(self, read_stream: ReadStream, remembered: int = MOST_REMEMBERED) -> None:
        self._read_stream = read_stream
        self._remembered = remembered
        self._known: OrderedDict[str, Transcript] = OrderedDict()
        self._read_message = EventRegistry.default().converter.get_structure_hook(Message)

    def follow(self, stream: str, version: int, topic: str, data: Any) -> None:
        """Take in the next event of a conversation."""
        known = self._begin(stream) if version == 1 else self._known.get(stream)
        if known is None:
            return  # read when somebody asks
        if known.version == version - 1:
            self._go_on(known, topic, data)
        else:
            del self._known[stream]

    def at(self, stream: str, version: int) -> Transcript:
        """The transcript up to a version, which ``follow`` has been told of, or nothing later."""
        known = self._known.get(stream)
        if known is None or known.version != version:
            known = self._begin(stream)
            for topic, data in self._read_stream(stream, version):
                self._go_on(known, topic, data)
        self._known.move_to_end(stream)
        return known

    def _begin(self, stream: str) -> Transcript:
        known = self._known[stream] = Transcript()
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return known

    def _go_on(self, known: Transcript, topic: str, data: Any) -> None:
        known.version += 1
        if topic == MESSAGE_ADDED:
            said = data["message"]
        elif topic == RECEIVED:
            said = data["answers"][0]["message"]
        else:
            return
        known.digest = transcript_digest(known.digest, self._message(said))
        known.messages += 1
        known.characters += characters_of(said)
        known.erased = known.erased or is_erased(said)

    def _message(self, said: Any) -> Message:
        """Plain text, which nearly everything is, without the detour over the converter."""
        parts = said["parts"]
        if all(part["type"] == "text" for part in parts):
            texts = tuple(TextPart(_unescaped(part["text"])) for part in parts)
            return Message(said["role"], texts, said.get("name"))
        message: Message = self._read_message(text_escape.unescape(said), Message)
        return message


def characters_of(message: Any) -> int:
    """The characters of all text in a stored message: what was said, thought, called and given back."""
    return sum(len(part.get(_TEXT.get(part["type"], ""), "")) for part in message["parts"])


def is_erased(message: Any) -> bool:
    """Whether what was said in a stored message is gone."""
    return any(part["type"] == "foreign" and part["format"] == ERASED.format for part in message["parts"])


def _unescaped(text: str) -> str:
    return str(text_escape.unescape(text)) if text_escape.MARK in text else text


_TEXT = {
    "text": "text",
    "reasoning": "text",
    "refusal": "refusal",
    "tool_call": "arguments",
    "tool_result": "content",
}
"""Where the text of a part is, by its type."""
