"""Where a call belongs: a conversation that is there, a branch of one, or a new one."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from send2llm.application.context import Context
from send2llm.application.ports import Conversations, Identifiers
from send2llm.application.send_command import SendMessage
from send2llm.application.told import Told
from send2llm.domain.continuation import EarlierAnswer, going_on
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import ConversationNotFound, EarlierAnswerNotFound, NotFound
from send2llm.domain.message import Message

BRANCH_LABEL = "branch_of"
"""The label of a conversation that goes on from the middle of another one: that one's id."""


class Place(NamedTuple):
    """Where a call belongs: what was ``said`` there, as it is to be sent, and what is ``new``."""

    conversation: Conversation
    said: Sequence[Message]
    new: Sequence[Message]


class Places:
    """Finds the place of a call."""

    def __init__(self, conversations: Conversations, identifiers: Identifiers) -> None:
        self._conversations = conversations
        self._identifiers = identifiers

    async def find(self, command: SendMessage, conversation_id: UUID | None, context: Context, *, fresh: bool) -> Place:
        """The conversation that the call belongs to, what was said in it, and what is new to it."""
        if command.after is not None and conversation_id is None:
            return await self._after(command, command.after, context, fresh=fresh)
        told = Told(command.messages)
        if conversation_id is not None:
            if await self._conversations.tenant_of(conversation_id) != context.tenant:
                raise ConversationNotFound(conversation_id)
            conversation = await self._conversations.load(conversation_id, fresh=fresh)
            said = conversation.messages if command.parts_only else told.as_told(conversation)
            return Place(conversation, said, told.unsaid(conversation, all_new=command.parts_only))
        continued = await self._continued(command, told, context, fresh=fresh) if told.answered else None
        return continued or self._new(command, command.messages)

    async def _after(self, command: SendMessage, earlier: EarlierAnswer, context: Context, *, fresh: bool) -> Place:
        """The conversation of an earlier answer, or a branch of it; raises ``EarlierAnswerNotFound``."""
        if await self._conversations.tenant_of(earlier.conversation_id) != context.tenant:
            raise EarlierAnswerNotFound(earlier)
        failed = False
        try:
            conversation = await self._conversations.load(earlier.conversation_id, fresh=fresh)
            failed = conversation.ending(earlier.completion_id) is not None  # there it is, answered or not
            said = conversation.said_up_to(earlier.completion_id)
        except NotFound:
            if fresh:
                raise EarlierAnswerNotFound(earlier, failed=failed) from None
            return await self._after(command, earlier, context, fresh=True)  # what was known here may be old
        told = Told(going_on(said, command.messages))
        if conversation.awaited is None and not conversation.closed and told.goes_on_with(conversation):
            return Place(conversation, conversation.messages, told.unsaid(conversation, all_new=False))
        if not fresh:
            # Perhaps it was erased, and is not to be copied.
            return await self._after(command, earlier, context, fresh=True)
        return self._new(command, told.messages, branch_of=conversation)

    async def _continued(self, command: SendMessage, told: Told, context: Context, *, fresh: bool) -> Place | None:
        """The conversation that the messages go on with, or a branch of it when it is busy or has moved on."""
        found = await self._conversations.find(told.earlier_transcripts, context.tenant)
        if found is None:
            return None
        try:
            conversation = await self._conversations.load(found, fresh=fresh)
        except ConversationNotFound:
            return None
        if conversation.awaited is None and not conversation.closed and told.goes_on_with(conversation):
            return Place(conversation, told.as_told(conversation), told.unsaid(conversation, all_new=False))
        if not fresh:
            return await self._continued(command, told, context, fresh=True)  # what was known here may be old
        return self._new(command, command.messages, branch_of=conversation)

    def _new(self, command: SendMessage, messages: Sequence[Message], branch_of: Conversation | None = None) -> Place:
        labels = command.labels
        if branch_of is not None:
            labels = {**branch_of.labels, **labels, BRANCH_LABEL: str(branch_of.id)}
        conversation = Conversation.start(self._identifiers.new(), labels=labels)
        return Place(conversation, conversation.messages, messages)
