"""The handlers of a service in their order. A place at which none takes part costs nothing."""

from collections.abc import Sequence

from send2llm.application.answer_rewriter import AnswerRewriter
from send2llm.application.context import Context
from send2llm.application.handlers import Ask, Exchange, Handler, Surroundings
from send2llm.application.outgoing import Outgoing, Prepare
from send2llm.application.send_command import SendMessage
from send2llm.domain.errors import ConfigurationError


class HandlerChain:
    """Runs the handlers; built once, for all calls."""

    def __init__(self, handlers: Sequence[Handler], surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._on_request = _those_with("on_request", handlers)
        self._on_transcript = _those_with("on_transcript", handlers)
        self._on_answer = _those_with("on_answer", handlers)[::-1]

    @property
    def is_empty(self) -> bool:
        """Whether no handler takes part in anything."""
        return not (self._on_request or self._on_transcript or self._on_answer)

    async def on_request(self, command: SendMessage, context: Context, ask: Ask) -> tuple[SendMessage, Exchange]:
        """What is to be done in place of ``command``, and the exchange that goes with the call from here on."""
        exchange = Exchange(context, self._surroundings, ask, command)
        for handler in self._on_request:
            command = await handler.on_request(command, exchange)
        return command, exchange

    def on_transcript(self, exchange: Exchange) -> Prepare | None:
        """What changes the messages that are sent; ``None`` when nobody does."""
        if not self._on_transcript:
            return None

        async def prepare(outgoing: Outgoing) -> Outgoing:
            for handler in self._on_transcript:
                outgoing = await handler.on_transcript(outgoing, exchange)
            return outgoing

        return prepare

    def on_answer(self, exchange: Exchange) -> AnswerRewriter | None:
        """What changes the answer that the caller gets; ``None`` when nobody does."""
        if not self._on_answer:
            return None
        makers = [make for handler in self._on_answer if (make := handler.on_answer(exchange)) is not None]
        return AnswerRewriter(makers) if makers else None


def refuse_wrong_order(handlers: Sequence[Handler]) -> None:
    """Raise ``ConfigurationError`` when one needs the whole transcript, and another may have changed it by then."""
    changing = _those_with("on_transcript", handlers)
    for place, handler in enumerate(changing):
        if place and handler.needs_whole_transcript:
            before = ", ".join(type(other).__name__ for other in changing[:place])
            raise ConfigurationError(
                f"{type(handler).__name__} needs the whole transcript: in the setting handlers it has to stand before "
                f"{before}."
            )


def _those_with(method: str, handlers: Sequence[Handler]) -> tuple[Handler, ...]:
    return tuple(handler for handler in handlers if getattr(type(handler), method) is not getattr(Handler, method))
