"""Where messages and their parts stand in a request of Anthropic's messages.

What was read is read again, bit by bit: it is for errors only, and so it is always right.
"""

from send2llm.infrastructure.formats.anthropic.reading_blocks import read_blocks
from send2llm.infrastructure.formats.anthropic.reading_messages import read_message, read_system
from send2llm.infrastructure.formats.fields import Body


def path_in(body: Body, message: int | None, part: int | None) -> str:
    """The path of a message, or of the block of one of its parts, by the numbers that they have once they are read."""
    if message is None:
        return "messages"
    instructions, billing = read_system(body.get("system"))
    if message < len(instructions):
        return "system" if part is None or isinstance(body["system"], str) else f"system.{part + (billing is not None)}"
    message -= len(instructions)
    for place, told in enumerate(body["messages"]):
        read = read_message(told)
        if message < len(read):
            before = sum(len(one.parts) for one in read[:message])
            return f"messages.{place}" + ("" if part is None else _block(told["content"], before + part))
        message -= len(read)
    return "messages"


def _block(content: object, part: int) -> str:
    if isinstance(content, str):
        return ".content"
    for place, parts in enumerate(read_blocks(content)):
        if part < len(parts):
            return f".content.{place}"
        part -= len(parts)
    return ".content"
