"""Going on from an answer that was given earlier, without telling again what led to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from send2llm.domain.message import Message

INSTRUCTIONS = "instructions"
"""Among a message's extras: it holds for one answer only, and whoever goes on from that brings instructions anew."""


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """An answer that was given: its conversation and its completion, and what the caller calls it."""

    conversation_id: UUID
    completion_id: UUID
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.name or str(self.completion_id)


def going_on(said: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """All that is told when ``new`` follows what was ``said``: instructions are those of the new turn."""
    begin = [message for message in new if message.extras.get(INSTRUCTIONS)]
    kept = [message for message in said if not message.extras.get(INSTRUCTIONS)]
    return [*begin, *kept, *(message for message in new if not message.extras.get(INSTRUCTIONS))]
