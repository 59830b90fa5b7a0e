"""What a caller tells, compared with what has been said in a conversation already."""

from collections.abc import Sequence
from functools import cached_property
from operator import is_

from send2llm.domain.conversation import EMPTY_TRANSCRIPT, Conversation
from send2llm.domain.message import Message, ReasoningPart, transcript_digest

CANNOT_TELL_THOUGHTS = frozenset({"openai"})
"""Formats of callers in which an answer is told again without what the model thought."""


class Told:
    """The messages of a call. Their digests are computed once, and only if somebody asks."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages

    @cached_property
    def digests(self) -> Sequence[bytes]:
        """The digest of the transcript after each message."""
        digests, digest = [], EMPTY_TRANSCRIPT
        for message in self.messages:
            digest = transcript_digest(digest, message)
            digests.append(digest)
        return digests

    @property
    def answered(self) -> int:
        """How many messages there are up to the last answer; 0 if none of them is an answer."""
        for place in range(len(self.messages), 0, -1):
            if self.messages[place - 1].role == "assistant":
                return place
        return 0

    @property
    def earlier_transcripts(self) -> Sequence[bytes]:
        """The digests under which a conversation that these messages go on with may be found.

        All that is told, when the last turn was never answered and is told again; else all up to the last answer.
        """
        return self.digests[-1], self.digests[self.answered - 1]

    def goes_on_with(self, conversation: Conversation) -> bool:
        """Whether the messages begin with the whole transcript."""
        said = len(conversation.messages)
        return 0 < said <= len(self.messages) and self.digests[said - 1] == conversation.digest

    def as_told(self, conversation: Conversation) -> Sequence[Message]:
        """The transcript, with what was said before as it is told now, if it is told in the format it was stored in.

        Extras move from turn to turn (marks for caches), and a caller may have dropped or kept thoughts: that goes to
        a provider of the same format as the caller says it. What was answered in another format stays as it was
        stored, and so do thoughts that the caller's format has no way to tell again.
        """
        said = conversation.messages
        if not self.goes_on_with(conversation):
            return said
        told = [_as_told(old, new) for old, new in zip(said, self.messages, strict=False)]
        return said if all(map(is_, told, said)) else told

    def unsaid(self, conversation: Conversation, *, all_new: bool) -> Sequence[Message]:
        """Those of the messages that the transcript does not hold yet; ``all_new``: they never repeat it."""
        if not all_new and self.goes_on_with(conversation):
            return self.messages[len(conversation.messages) :]
        # The transcript may end with just these messages, unanswered: the caller tries again after a failure.
        tail = conversation.messages[-len(self.messages) :]
        again = self.messages[-1].role != "assistant" and tail == list(self.messages)
        return () if again else self.messages


def _as_told(stored: Message, told: Message) -> Message:
    if told.format != stored.format or told == stored:
        return stored
    if told.format in CANNOT_TELL_THOUGHTS and any(isinstance(part, ReasoningPart) for part in stored.parts):
        return stored
    return told
