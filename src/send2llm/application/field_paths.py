"""Where in the caller's own request something stands, for errors that name the field at fault."""

from collections.abc import Callable, Sequence

from send2llm.domain.message import Message

PathOf = Callable[[int | None, int | None], str]
"""Names the place of a message and of one of its parts, by their numbers; of all messages where there is ``None``."""


def usual_path(message: int | None, part: int | None) -> str:
    """In the words of OpenAI's chat completions, with dots, as OpenAI's SDKs show it."""
    if message is None:
        return "messages"
    return f"messages.{message}" if part is None else f"messages.{message}.content.{part}"


class FieldPaths:
    """Finds messages again in what the caller sent, although handlers may have changed them meanwhile."""

    __slots__ = ("_asked", "_name")

    def __init__(self, asked: Sequence[Message], name: PathOf) -> None:
        self._asked = asked
        self._name = name

    def of(self, messages: Sequence[Message], place: int, part: int | None = None) -> str:
        """Where the message with the number ``place``, or its ``part``, stands: as near as that is known."""
        message = messages[place]
        found = next((number for number, one in enumerate(self._asked) if one is message), None)
        if found is None and len(messages) == len(self._asked):
            moved = any(one is self._asked[place] for one in messages)
            found = None if moved else place  # each was changed where it stands
        if found is not None and len(self._asked[found].parts) != len(message.parts):
            part = None
        return self._name(found, None if found is None else part)
