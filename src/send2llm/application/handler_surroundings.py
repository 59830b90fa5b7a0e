"""What handlers may ask of the service, put together."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from send2llm.application.ports import Conversations
from send2llm.application.templates import TemplateShelf
from send2llm.domain.errors import CompletionNotFound, ConversationNotFound
from send2llm.domain.message import Message
from send2llm.domain.prompt_template_events import TemplateVersionAdded


class ContextWindows(Protocol):
    """How much models can read."""

    def context_window(self, provider: str, model: str) -> int | None:
        """Tokens of prompt and answer together, ``None`` when that is unknown."""
        ...


class HandlerSurroundings:
    """Implements ``Surroundings``."""

    def __init__(self, conversations: Conversations, shelf: TemplateShelf, windows: ContextWindows) -> None:
        self._conversations = conversations
        self._shelf = shelf
        self._windows = windows

    async def said(self, conversation_id: UUID, up_to: UUID | None, tenant: str) -> Sequence[Message]:
        """The transcript of a conversation of the ``tenant``, or that up to an answer; raises ``NotFound``."""
        if await self._conversations.tenant_of(conversation_id) != tenant:
            raise ConversationNotFound(conversation_id)
        conversation = await self._conversations.load(conversation_id)
        if up_to is None:
            return conversation.messages
        try:
            return conversation.said_up_to(up_to)
        except CompletionNotFound:  # what was known here may be old
            return (await self._conversations.load(conversation_id, fresh=True)).said_up_to(up_to)

    async def template(self, name: str, version: int | None) -> TemplateVersionAdded:
        """A version of a prompt template."""
        return await self._shelf.usable(name, version)

    def context_window(self, provider: str, model: str) -> int | None:
        """How many tokens the model can read and write in one call, where that is known."""
        return self._windows.context_window(provider, model)
