"""Messages of the domain, written as the turns and instructions of Anthropic's requests.

Format: as in ``reading_messages``. Results of tools come first in the turn of the user that follows them, all in one,
as Anthropic wants them. Instructions at the beginning become ``system``; later ones stand among the messages where the
model takes them there (behind the user's turn, before the answer), and else in the user's turn, marked as what they
are; so do those with pictures, which only users may show.
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
"""

from collections.abc import Iterable, Sequence

from send2llm.domain.message import ImagePart, Message, TextPart
from send2llm.infrastructure.formats.anthropic.names import FORMAT, REPLY
from send2llm.infrastructure.formats.anthropic.writing_blocks import write_blocks, write_results
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.foreign import require_text

_INSTRUCTING = ("system", "developer")


def write_messages(messages: Sequence[Message], *, system_messages: bool) -> tuple[str | list[Body] | None, list[Body]]:
    """``system`` and ``messages``; ``system_messages``: the model takes instructions among the messages.

    Raises ``RequestRejected`` for parts that only another format can carry.
    """
    leading = 0
    while leading < len(messages) and _is_plain_instruction(messages[leading]):
        leading += 1
    system = [block for message in messages[:leading] for block in _blocks(message)]
    turns = _Turns(system_messages=system_messages)
    for message in messages[leading:]:
        turns.add(message)
    return _content(system) or None, turns.end()


def _is_plain_instruction(message: Message) -> bool:
    """Whether it can be said in ``system``, which has no fields beside its texts."""
    return message.role in _INSTRUCTING and not message.extras and all(type(part) is TextPart for part in message.parts)


def _blocks(message: Message) -> list[Body]:
    return write_blocks(message.parts, ours=message.format == FORMAT)


def _content(blocks: list[Body]) -> str | list[Body]:
    """A string for a single plain text."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks


def _are_texts(blocks: Iterable[Body]) -> bool:
    return all(block["type"] == "text" for block in blocks)


def _marked(blocks: Sequence[Body]) -> Sequence[Body]:
    """Instructions for a user's turn."""
    if _are_texts(blocks):
        text = "\n".join(block["text"] for block in blocks)
        return [{"type": "text", "text": f"<system>\n{text}\n</system>"}]
    return [{"type": "text", "text": "<system>"}, *blocks, {"type": "text", "text": "</system>"}]


class _Turns:
    """Puts turns together."""

    def __init__(self, *, system_messages: bool) -> None:
        self._system_messages = system_messages
        self._done: list[Body] = []
        self._results: list[Body] = []
        self._said: list[Body] = []
        self._user_spoke = False
        self._extras: Body = {}
        self._instructions: list[Body] = []

    def add(self, message: Message) -> None:
        """Take the next message."""
        ours = message.format == FORMAT
        if message.role == "tool":
            self._results += write_results(message.parts, ours=ours)
            self._take_extras(message)
        elif message.role == "user":
            if self._user_spoke:
                self._end_user_turn()
            self._user_spoke = True
            self._said += _blocks(message)
            self._take_extras(message)
        elif message.role in _INSTRUCTING:
            self._instruct(message)
        else:
            self._end_turn()
            self._append("assistant", _blocks(message), self._extras_of(message))

    def end(self) -> list[Body]:
        """All turns."""
        self._end_turn()
        return self._done

    def _instruct(self, message: Message) -> None:
        ours = message.format == FORMAT
        if not ours:
            require_text(message, FORMAT, ImagePart)
        blocks = _blocks(message)
        if not blocks:
            return
        if ours or (self._system_messages and _are_texts(blocks)):
            self._instructions.append({"role": "system", "content": _content(blocks), **self._extras_of(message)})
        else:
            self._said += _marked(blocks)

    def _take_extras(self, message: Message) -> None:
        self._extras |= self._extras_of(message)

    @staticmethod
    def _extras_of(message: Message) -> Body:
        if message.format != FORMAT or not message.extras:
            return {}
        return {name: value for name, value in message.extras.items() if name != REPLY}

    def _end_user_turn(self) -> None:
        self._append("user", [*self._results, *self._said], self._extras)
        self._results, self._said, self._extras = [], [], {}
        self._user_spoke = False

    def _end_turn(self) -> None:
        self._end_user_turn()
        self._done += self._instructions
        self._instructions = []

    def _append(self, role: str, blocks: list[Body], extras: Body) -> None:
        """A turn in which nothing is said is none: Anthropic refuses it."""
        if blocks:
            self._done.append({"role": role, "content": _content(blocks), **extras})


def has_document(messages: Iterable[Message]) -> bool:
    """Whether an answer holds a document of its own, which the version 2026-10-21 refuses."""
    return any(
        getattr(part, "body", {}).get("type") == "document"
        for message in messages
        if message.role == "assistant"
        for part in message.parts
    )


def has_citations_of_user(messages: Iterable[Message]) -> bool:
    """Whether a user's text has citations, which the version 2026-10-21 refuses too."""
    for message in messages:
        if message.role not in ("user", "tool") or message.format != FORMAT:
            continue
        for part in message.parts:
            extras = getattr(part, "extras", {})
            if extras.get("citations") or extras.get("text", {}).get("citations"):
                return True
            if _cites(getattr(part, "body", {})):
                return True
    return False


def _cites(body: object) -> bool:
    content = getattr(body, "get", lambda _: None)("content")
    return isinstance(content, list) and any(isinstance(block, dict) and block.get("citations") for block in content)
