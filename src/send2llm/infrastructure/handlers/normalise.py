"""``normalise``: what looks the same becomes the same, and what says nothing goes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from unicodedata import is_normalized, normalize

from send2llm.handlers import (
    ContentPart,
    Exchange,
    Handler,
    HandlerOptions,
    InvalidRequest,
    Message,
    Outgoing,
    SendMessage,
    TextPart,
    ToolResultPart,
)

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

Form = Literal["NFC", "NFKC", "none"]


class Options(HandlerOptions):
    """What is done to texts and messages."""

    form: Form = "NFC"
    control_characters: bool = False
    """Whether they stay; tabs and line ends always do."""
    drop_empty: bool = True
    """Whether texts without a character, and messages without a part, are dropped."""
    merge: tuple[Literal["system", "developer", "user", "assistant"], ...] = ()
    """Roles of which messages that follow each other are sent as one, as some providers demand it."""


def normalise(options: Mapping[str, Any]) -> Handler:
    """The handler for these options; only one that merges takes part in what is sent."""
    chosen = Options.read("normalise", options)
    return MergingNormalise(chosen) if chosen.merge else Normalise(chosen)


class Normalise(Handler):
    """Normalises what the caller's side says.

    Never what an assistant said: that is compared with what is stored, letter by letter.
    """

    def __init__(self, options: Options) -> None:
        self._options = options

    async def on_request(self, command: SendMessage, exchange: Exchange) -> SendMessage:  # noqa: ARG002 - the contract's
        """The same request, said plainly."""
        # Of texts that are to be embedded each gets its vector.
        drop = self._options.drop_empty and command.parameters.embedding is None
        messages = [message for told in command.messages if (message := self._normal(told, drop)) is not None]
        if not messages:
            where = command.path_of(None, None)
            raise InvalidRequest(f"{where}: all of them are empty.", param=where)
        if len(messages) == len(command.messages) and all(map(_same, messages, command.messages)):
            return command
        return replace(command, messages=messages)

    def _normal(self, message: Message, drop: bool) -> Message | None:
        if message.role == "assistant":
            return message
        parts = tuple(self._normal_parts(message.parts, drop))
        if not parts and drop:
            return None
        return message if parts == message.parts else replace(message, parts=parts)

    def _normal_parts(self, parts: Iterable[ContentPart], drop: bool) -> Iterator[ContentPart]:
        for part in parts:
            match part:
                case TextPart(text=text):
                    plain = self._text(text)
                    if plain or not drop:
                        yield part if plain == text else replace(part, text=plain)
                case ToolResultPart(content=text):
                    plain = self._text(text)
                    yield part if plain == text else replace(part, content=plain)
                case _:
                    yield part

    def _text(self, text: str) -> str:
        if text.isascii():
            return text if self._options.control_characters else _CONTROL.sub("", text)
        text = _SURROGATE.sub("\ufffd", text)
        if not self._options.control_characters:
            text = _CONTROL.sub("", text)
        form = self._options.form
        return text if form == "none" or is_normalized(form, text) else normalize(form, text)


class MergingNormalise(Normalise):
    """Sends messages of one role that follow each other as one; what is stored stays as it was said."""

    async def on_transcript(self, outgoing: Outgoing, exchange: Exchange) -> Outgoing:  # noqa: ARG002 - the contract's
        """The same messages, fewer of them."""
        merged = _merged(outgoing.messages, frozenset(self._options.merge))
        return outgoing if len(merged) == len(outgoing.messages) else replace(outgoing, messages=merged)


def _same(one: object, other: object) -> bool:
    return one is other


def _merged(messages: Sequence[Message], roles: frozenset[str]) -> Sequence[Message]:
    merged: list[Message] = []
    for message in messages:
        last = merged[-1] if merged else None
        if last is None or message.role not in roles or (last.role, last.name) != (message.role, message.name):
            merged.append(message)
        else:
            merged[-1] = replace(last, parts=(*last.parts, *message.parts), extras={**last.extras, **message.extras})
    return merged
