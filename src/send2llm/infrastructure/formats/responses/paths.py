"""Where messages and their parts stand in a request of OpenAI's responses.

What was read is read again, bit by bit: it is for errors only, and so it is always right.
"""

from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.responses.reading_items import read_item


def path_in(body: Body, message: int | None, part: int | None) -> str:
    """The path of a message, or of one of its parts, by the numbers that they have once they are read."""
    items = body.get("input")
    if message is None:
        return "input"
    if body.get("instructions") is not None:
        if message == 0:
            return "instructions"
        message -= 1
    if not isinstance(items, list):
        return "input"
    number, before, role = -1, 0, ""
    for place, item in enumerate(items):
        read = read_item(item)
        if read.role != "assistant" or role != "assistant":  # what the model says next to each other is one message
            number, before = number + 1, 0
        role = read.role
        if number == message and (part is None or part < before + len(read.parts)):
            return f"input.{place}" + ("" if part is None else _within(item, part - before))
        before += len(read.parts)
    return "input"


def _within(item: Body, part: int) -> str:
    for field in ("content", "output", "summary"):
        inside = item.get(field)
        if isinstance(inside, list):
            return f".{field}.{part}" if part < len(inside) else f".{field}"
        if inside is not None:
            return f".{field}"
    return ""
