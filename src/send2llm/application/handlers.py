"""Message handlers: what is done with messages before and after the model.

A handler takes part in a call at up to three places, by overriding up to three methods; those that it leaves alone are
not even called. ``docs/handlers.md`` shows how to write one.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol
from uuid import UUID

from send2llm.application.context import Context
from send2llm.application.field_paths import FieldPaths
from send2llm.application.open_call import Reply
from send2llm.application.outgoing import Outgoing
from send2llm.application.send_command import SendMessage
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import NotFound
from send2llm.domain.message import JsonObject, Message
from send2llm.domain.prompt_template_events import TemplateVersionAdded

TextKind = Literal["text", "reasoning", "refusal", "arguments"]
"""What of an answer it is; ``arguments`` of a tool call are JSON text."""


class Rewriter(Protocol):
    """Changes one text of an answer that may come in pieces, cut anywhere."""

    def feed(self, piece: str) -> str:
        """Take the next piece, and give what can be passed on by now."""
        ...

    def end(self) -> str:
        """Nothing more comes: give what was held back."""
        ...


MakeRewriter = Callable[[TextKind], Rewriter]
"""Makes a rewriter for each text of an answer."""


class Surroundings(Protocol):
    """What handlers may ask of the service."""

    async def said(self, conversation_id: UUID, up_to: UUID | None, tenant: str) -> Sequence[Message]:
        """The transcript of a conversation of the ``tenant``, or that up to an answer."""
        ...

    async def template(self, name: str, version: int | None) -> TemplateVersionAdded:
        """A version of a prompt template."""
        ...

    def context_window(self, provider: str, model: str) -> int | None:
        """How many tokens the model can read and write in one call, where that is known."""
        ...


Ask = Callable[[SendMessage], Awaitable[Reply]]


class Exchange:
    """One call on its way through the handlers, for as long as it takes. Nothing of it is ever stored or logged."""

    __slots__ = ("_ask", "_surroundings", "context", "field_paths", "notes", "upstream")

    def __init__(self, context: Context, surroundings: Surroundings, ask: Ask, command: SendMessage) -> None:
        """``command`` is what the caller wants, before any handler had a look at it."""
        self.context = context
        self.field_paths = FieldPaths(command.messages, command.path_of)
        """Where messages stand in the caller's request, for errors."""
        self.notes: dict[object, Any] = {}
        """What handlers want to remember of this very call, each under itself."""
        self.upstream = 0.0
        """Seconds that ``ask`` waited for providers."""
        self._surroundings = surroundings
        self._ask = ask

    async def said(self, command: SendMessage) -> Sequence[Message]:
        """What was said in the conversation that the command names, answers included; raises ``ConversationNotFound``.

        Nothing before an earlier answer that there is not: the call is refused when it comes to that.
        """
        if command.conversation_id is not None:
            return await self._surroundings.said(command.conversation_id, None, self.context.tenant)
        if command.after is not None:
            after = command.after
            with suppress(NotFound):
                return await self._surroundings.said(after.conversation_id, after.completion_id, self.context.tenant)
        return ()

    async def template(self, name: str, version: int | None = None) -> TemplateVersionAdded:
        """A version of a prompt template, by default the last.

        Raises ``TemplateNotFound``, ``TemplateVersionNotFound``, ``TemplateIsRetired``.
        """
        return await self._surroundings.template(name, version)

    def context_window(self, provider: str, model: str) -> int | None:
        """How many tokens the model can read and write in one call, where the price catalogue knows it."""
        return self._surroundings.context_window(provider, model)

    async def ask(self, model: str, messages: Sequence[Message], parameters: Parameters, labels: JsonObject) -> Reply:
        """Ask a model in a conversation of its own: a call as any other, under the same budgets, but past the handlers.

        Raises what calls raise.
        """
        command = SendMessage(model=model, messages=messages, parameters=parameters, parts_only=True, labels=labels)
        reply = await self._ask(command)
        self.upstream += reply.upstream
        return reply


class Handler:
    """A link of the chain: override what you want to take part in.

    One handler serves all calls of a process, many at once: what belongs to one call goes into ``exchange.notes``.
    Handlers run in the order of the configuration, on answers the other way round.
    """

    needs_whole_transcript = False
    """Whether nobody may have changed what is sent before ``on_transcript`` of this one."""

    async def on_request(self, command: SendMessage, exchange: Exchange) -> SendMessage:  # noqa: ARG002 - see the class
        """Before a conversation is chosen: give the command back, changed or not, or raise ``InvalidRequest``.

        What it holds afterwards is what is stored, and compared with what was said before: the same history has to
        come out the same each time, and an assistant's words as they are stored, or no conversation is ever continued.
        """
        return command

    async def on_transcript(self, outgoing: Outgoing, exchange: Exchange) -> Outgoing:  # noqa: ARG002 - as above
        """Before money is held and a provider is asked: change what is sent; what is stored stays as it is.

        It may run again for the same call, when somebody else added to the conversation meanwhile.
        """
        return outgoing

    def on_answer(self, exchange: Exchange) -> MakeRewriter | None:  # noqa: ARG002 - as above
        """When an answer comes: how to change what the caller gets of it, never what is stored; None: not at all."""
        return None
