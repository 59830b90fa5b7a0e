"""``validate``: refuses what is too much, too large or of the wrong kind, before anything is stored."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from pydantic import Field, PositiveInt

from send2llm.handlers import (
    ContentPart,
    Exchange,
    FieldPaths,
    Handler,
    HandlerOptions,
    ImagePart,
    InvalidRequest,
    Message,
    ReasoningPart,
    Role,
    SendMessage,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

USUAL_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_DATA = "data:"


class Options(HandlerOptions):
    """What a request may hold; what is not set has no limit."""

    roles: tuple[Role, ...] = get_args(Role)
    max_messages: PositiveInt | None = None
    max_parts: PositiveInt | None = None
    """In one message."""
    max_text_bytes: PositiveInt | None = None
    """Of one text, as UTF-8; arguments of tool calls and results of tools are texts."""
    max_total_bytes: PositiveInt | None = None
    """Of all texts."""
    image_types: tuple[str, ...] = USUAL_IMAGES
    max_image_bytes: int | None = Field(default=None, gt=0)
    """Of an image in a ``data:`` URL, decoded."""
    image_urls: bool = True
    """Whether images may be given by an address that the provider fetches."""


class Validate(Handler):
    """Checks every request."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = Options.read("validate", options)
        self._types = frozenset(kind.lower() for kind in self._options.image_types)

    async def on_request(self, command: SendMessage, exchange: Exchange) -> SendMessage:
        """Raise ``InvalidRequest`` that names the first field that is not right."""
        limit, count, all_of_them = self._options.max_messages, len(command.messages), command.path_of(None, None)
        if limit is not None and count > limit:
            raise InvalidRequest(
                f"{all_of_them}: {count} messages are too many; this service takes {limit}.", param=all_of_them
            )
        total = 0
        for place in range(count):
            total += self._checked(command.messages, place, exchange.field_paths)
        limit = self._options.max_total_bytes
        if limit is not None and total > limit:
            raise InvalidRequest(
                f"{all_of_them}: {total} bytes of text are too many; this service takes {limit}.", param=all_of_them
            )
        return command

    def _checked(self, messages: Sequence[Message], number: int, places: FieldPaths) -> int:
        """Check a message; the bytes of its texts."""
        options, message = self._options, messages[number]
        if message.role not in options.roles:
            allowed, param = ", ".join(options.roles), places.of(messages, number)
            raise InvalidRequest(f"{param}: this service takes no {message.role} messages, but {allowed}.", param=param)
        if options.max_parts is not None and len(message.parts) > options.max_parts:
            param = places.of(messages, number)
            raise InvalidRequest(
                f"{param}: {len(message.parts)} parts are too many; this service takes {options.max_parts}.",
                param=param,
            )
        total = 0
        for place, part in enumerate(message.parts):
            if isinstance(part, ImagePart):
                self._check_image(part.url, partial(places.of, messages, number, place))
                continue
            size = len(_text(part).encode("utf-8", "surrogatepass"))
            if options.max_text_bytes is not None and size > options.max_text_bytes:
                where = places.of(messages, number, place)
                raise InvalidRequest(
                    f"{where}: {size} bytes of text are too many; this service takes {options.max_text_bytes}.",
                    param=where,
                )
            total += size
        return total

    def _check_image(self, url: str, where: Callable[[], str]) -> None:
        if not url.startswith(_DATA):
            if not self._options.image_urls:
                param = where()
                raise InvalidRequest(f"{param}: send the image itself, in a data: URL.", param=param)
            return
        kind, _, data = url.removeprefix(_DATA).partition(",")
        media_type, *parameters = kind.lower().split(";")
        if media_type not in self._types:
            param = where()
            raise InvalidRequest(
                f"{param}: images of the type {media_type[:100] or 'text/plain'!r} are not taken, but "
                f"{', '.join(sorted(self._types))}.",
                param=param,
            )
        size = len(data) * 3 // 4 - data[-2:].count("=") if "base64" in parameters else len(data)
        if self._options.max_image_bytes is not None and size > self._options.max_image_bytes:
            param = where()
            raise InvalidRequest(
                f"{param}: {size} bytes are too many for an image; this service takes {self._options.max_image_bytes}.",
                param=param,
            )


def _text(part: ContentPart) -> str:
    match part:
        case TextPart(text=text) | ReasoningPart(text=text):
            return text
        case ToolCallPart(arguments=text):
            return text
        case ToolResultPart(content=text):
            return text
    return ""
