"""Messages and instructions of Anthropic's requests, read into the domain.

Format: https://platform.claude.com/docs/en/api/messages/create (``messages``, ``system``).

A user's turn that holds results of tools becomes one message of the role ``tool`` for each result, and one of the user
with whatever else it says; ``writing_messages`` puts them together again.
"""

from collections.abc import Sequence
from dataclasses import replace

from send2llm.domain.message import NO_EXTRAS, ContentPart, JsonObject, Message, TextPart, ToolResultPart
from send2llm.infrastructure.formats.anthropic.names import BILLING_FIELD, FORMAT
from send2llm.infrastructure.formats.anthropic.reading_blocks import read_block, read_blocks, read_content
from send2llm.infrastructure.formats.fields import (
    Body,
    WrongFieldError,
    an_object,
    missing,
    unknown_fields,
    wrong,
)

_MESSAGE_FIELDS = frozenset({"role", "content"})


def read_system(system: object) -> tuple[list[Message], Body | None]:
    """The instructions, if there are any, and the block for Anthropic's accounts, if there is one before them."""
    if system is None:
        return [], None
    if isinstance(system, str):
        return ([Message("system", (TextPart(system),), format=FORMAT)] if system else []), None
    if not isinstance(system, list):
        raise wrong("a string or a list of blocks", system, "system")
    billing = system[0] if system and _is_billing(system[0]) else None
    parts: list[ContentPart] = []
    for index, block in enumerate(system):
        if block is billing:
            continue
        try:
            parts += read_block(block)
        except WrongFieldError as error:
            raise error.within("system", index) from None
    return ([Message("system", tuple(parts), format=FORMAT)] if parts else []), billing


def _is_billing(block: object) -> bool:
    text = block.get("text") if isinstance(block, dict) else None
    return isinstance(text, str) and text.startswith(f"{BILLING_FIELD}:")


def read_messages(bodies: object) -> list[Message]:
    """The ``messages`` of a request; raises ``WrongFieldError``."""
    if bodies is None:
        raise missing("a list with at least one message", "messages")
    if not isinstance(bodies, list):
        raise wrong("a list of messages", bodies, "messages")
    if not bodies:
        raise WrongFieldError("must not be empty: send at least one message", "messages")
    messages: list[Message] = []
    for index, body in enumerate(bodies):
        try:
            messages += read_message(an_object(body))
        except WrongFieldError as error:
            raise error.within("messages", index) from None
    return messages


def read_message(body: Body) -> Sequence[Message]:
    """One turn: several messages for a user's with results of tools; raises ``WrongFieldError``."""
    role = body.get("role")
    if role is None:
        raise missing("user or assistant", "role")
    if not isinstance(role, str):
        raise wrong("a string", role, "role")
    extras = unknown_fields(body, _MESSAGE_FIELDS) or NO_EXTRAS
    content = body.get("content")
    match role:
        case "user":
            return _user(read_blocks(content), extras)
        case "assistant" | "system":
            return (Message(role, tuple(read_content(content)), extras=extras, format=FORMAT),)
    raise WrongFieldError(f"must be user, assistant or system, not {role[:40]!r}", "role")


def _user(blocks: Sequence[tuple[ContentPart, ...]], extras: JsonObject) -> list[Message]:
    if not blocks:
        raise WrongFieldError("must not be an empty list", "content")
    messages: list[Message] = []
    said: list[ContentPart] = []
    for parts in blocks:
        if not isinstance(parts[0], ToolResultPart):
            said += parts
            continue
        if said:
            messages.append(Message("user", tuple(said), format=FORMAT))
            said = []
        messages.append(Message("tool", parts, format=FORMAT))
    if said:
        messages.append(Message("user", tuple(said), format=FORMAT))
    if extras:
        messages[-1] = replace(messages[-1], extras=extras)
    return messages
