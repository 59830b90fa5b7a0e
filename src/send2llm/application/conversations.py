"""Everything else that can be done with a conversation: start it, judge it, close it, erase it."""

from contextlib import suppress
from decimal import Decimal
from uuid import UUID

from send2llm.application.change import change
from send2llm.application.context import Context
from send2llm.application.ports import Conversations, Identifiers
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import ConversationAlreadyStarted, ConversationNotFound, StaleConversation
from send2llm.domain.message import NO_EXTRAS, JsonObject


class ConversationCommands:
    """Handles the commands; each returns the conversation as it is afterwards."""

    def __init__(self, conversations: Conversations, identifiers: Identifiers) -> None:
        self._conversations = conversations
        self._identifiers = identifiers

    async def start(
        self, context: Context, conversation_id: UUID | None = None, labels: JsonObject = NO_EXTRAS
    ) -> Conversation:
        """Begin a conversation, under an id of the caller's choice if given; raises ``ConversationAlreadyStarted``."""
        conversation = Conversation.start(conversation_id or self._identifiers.new(), labels=labels)
        try:
            await self._conversations.save(conversation, context)
        except StaleConversation:
            raise ConversationAlreadyStarted(conversation.id) from None
        return conversation

    async def give_feedback(
        self, context: Context, conversation_id: UUID, completion_id: UUID | None, score: Decimal, comment: str
    ) -> Conversation:
        """Judge an answer or the whole conversation."""
        return await change(
            self._conversations,
            conversation_id,
            context,
            lambda conversation: conversation.give_feedback(completion_id, score, comment),
        )

    async def close(self, context: Context, conversation_id: UUID, reason: str = "") -> Conversation:
        """Say that nothing more will come."""
        return await change(
            self._conversations, conversation_id, context, lambda conversation: conversation.close(reason)
        )

    async def erase(self, context: Context, conversation_id: UUID, reason: str = "") -> Conversation:
        """Give up what was said in a conversation, for ever, and what was made from it: summaries of its turns.

        What nobody can read any more is erased as well. Raises ``ConversationNotErasable`` when something was stored in
        plain; then nothing is changed.
        """
        conversation = await self._conversations.load(conversation_id, fresh=True, texts=False)
        for summary in conversation.summaries:
            with suppress(ConversationNotFound):
                await self.erase(context, summary, reason)
        return await change(
            self._conversations, conversation_id, context, lambda conversation: conversation.erase(reason), texts=False
        )
