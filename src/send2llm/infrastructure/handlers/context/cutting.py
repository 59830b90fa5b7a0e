"""Where a transcript can be cut: the system messages stay, and no result of a tool is parted from its call."""

from collections.abc import Iterator, Sequence

from send2llm.domain.estimation import estimate_message_tokens
from send2llm.handlers import Message, Stretch, ToolCallPart, ToolResultPart

STANDING = frozenset({"system", "developer"})
"""Roles of messages that are never left out."""


def newest_from(messages: Sequence[Message], room: int) -> int:
    """The index of the first of the newest messages that come to at most ``room`` tokens.

    Standing messages are not counted. Turns stay whole, if need be steps of a turn. The last step is kept whatever it
    comes to.
    """
    turn = step = last_step = None
    tokens = 0
    for index in _cuts(messages):
        tokens += estimate_message_tokens(
            message for message in messages[index:last_step] if message.role not in STANDING
        )
        if last_step is not None and tokens > room:
            break
        last_step = step = index
        if messages[index].role == "user":
            turn = index
    return turn if turn is not None else step or 0


def left_out(messages: Sequence[Message], first_kept: int) -> tuple[Stretch, ...]:
    """The numbers, from 1, of the messages before ``first_kept`` that are not sent.

    Standing messages are; and what the user asked last, so that a model in the midst of work still knows its task.
    """
    asked = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    found: list[Stretch] = []
    for number, message in enumerate(messages[:first_kept], 1):
        if message.role in STANDING or number - 1 == asked:
            continue
        if found and found[-1].last == number - 1:
            found[-1] = Stretch(found[-1].first, number)
        else:
            found.append(Stretch(number, number))
    return tuple(found)


def without(messages: Sequence[Message], stretches: Sequence[Stretch], instead: Sequence[Message]) -> list[Message]:
    """The messages but for some, with others before the first that was said in turn."""
    gone = {number for stretch in stretches for number in range(stretch.first, stretch.last + 1)}
    kept = [message for number, message in enumerate(messages, 1) if number not in gone]
    begin = next((index for index, message in enumerate(kept) if message.role not in STANDING), len(kept))
    return [*kept[:begin], *instead, *kept[begin:]]


def _cuts(messages: Sequence[Message]) -> Iterator[int]:
    """Where a part that can stand for itself begins, from the newest on."""
    awaited: set[str] = set()
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                awaited.add(part.tool_call_id)
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                awaited.discard(part.id)
        if not awaited and message.role not in STANDING and message.role != "tool":
            yield index
