"""Change a conversation: load, command, save; again when somebody else was first."""

from collections.abc import Callable, Sequence
from uuid import UUID

from send2llm.application.context import Context
from send2llm.application.ports import AllowanceHold, Conversations
from send2llm.domain.conversation import Conversation
from send2llm.domain.errors import StaleConversation

TRIES = 5
"""A loser of a race decides anew on fresh state; so many losses in a row are a storm worth telling about."""


async def change(
    conversations: Conversations,
    conversation_id: UUID,
    context: Context,
    command: Callable[[Conversation], object],
    holds: Sequence[AllowanceHold] = (),
    *,
    texts: bool = True,
) -> Conversation:
    """Apply ``command`` to the conversation and store what it recorded, together with ``holds``.

    The command may run several times, each time on a conversation of its own. Raises what it raises, and
    ``ConversationNotFound``, ``StaleConversation`` (after ``TRIES`` lost races), ``AllowanceIsClosed``,
    ``StoreUnavailable``, ``UnreadableEvent``. Without ``texts`` the command sees nothing of what was said.
    """
    for attempt in range(TRIES):
        conversation = await conversations.load(conversation_id, fresh=attempt > 0, texts=texts)
        command(conversation)
        try:
            await conversations.save(conversation, context, holds=holds)
        except StaleConversation:
            continue
        return conversation
    raise StaleConversation(conversation_id)
