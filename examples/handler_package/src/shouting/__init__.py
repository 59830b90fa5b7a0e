"""A message handler of one's own: forbids words in requests, and has answers shouted.

Install it beside Send2LLM (``pip install examples/handler_package``), and name it in ``send2llm.toml``:
``handlers = ["template", "shout"]``, with ``[handler_options.shout]`` for its options.
"""

from collections.abc import Mapping
from typing import Any

from send2llm.handlers import (
    Exchange,
    Handler,
    HandlerOptions,
    InvalidRequest,
    MakeRewriter,
    Rewriter,
    SendMessage,
    TextKind,
)


class Options(HandlerOptions):
    """What ``[handler_options.shout]`` may set."""

    forbidden: tuple[str, ...] = ()


class Shout(Handler):
    """Refuses forbidden words; what is stored of an answer is said quietly."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._forbidden = Options.read("shout", options).forbidden

    async def on_request(self, command: SendMessage, exchange: Exchange) -> SendMessage:
        """Look at what is asked, before anything of it is stored."""
        for place, message in enumerate(command.messages):
            if any(word in message.text for word in self._forbidden):
                where = exchange.field_paths.of(command.messages, place)
                raise InvalidRequest("That word is not said here.", param=where)
        return command

    def on_answer(self, exchange: Exchange) -> MakeRewriter:
        """Change what the caller gets."""
        return Loudly


class Loudly:
    """Changes one text of an answer; it may come in pieces."""

    def __init__(self, kind: TextKind) -> None:
        self._is_json = kind == "arguments"

    def feed(self, piece: str) -> str:
        """The next piece, louder."""
        return piece if self._is_json else piece.upper()

    def end(self) -> str:
        """Nothing was held back."""
        return ""


_: type[Rewriter] = Loudly
