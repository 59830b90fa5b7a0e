"""Intents of which nobody knows whether they were stored: the database went away while it was asked to."""

import logging
from uuid import UUID

from send2llm.application.background import Background
from send2llm.application.budgets.purse import CallHold
from send2llm.application.change import change
from send2llm.application.context import Context
from send2llm.application.ports import Clock, Conversations
from send2llm.domain.conversation_events import CompletionInterrupted
from send2llm.domain.errors import Conflict, NotFound, Send2LLMError, StaleConversation, StoreUnavailable
from send2llm.domain.money import ZERO

logger = logging.getLogger(__name__)

ASK_EVERY = 2.0
"""Seconds between two questions."""

APPENDS_LAST = 45.0
"""Seconds after which an append that nobody waits for is stored, or never will be: it is tried again for ten, and each
try waits thirty for the database."""


class DoubtfulIntents:
    """Finds out, and ends the calls whose intent was stored after all: no provider was asked, and nobody waits."""

    def __init__(self, conversations: Conversations, clock: Clock, background: Background) -> None:
        self._conversations = conversations
        self._clock = clock
        self._background = background

    def settle(
        self,
        conversation_id: UUID,
        completion_id: UUID,
        hold: CallHold | None,
        context: Context,
        *,
        under_way: bool = False,
    ) -> None:
        """Begin to find out, and go on; the hold is free when it is known.

        ``under_way``: nobody waits any more, and the append goes on, so what is not there yet may still come.
        """
        until = self._clock.monotonic() + (APPENDS_LAST if under_way else 0.0)
        self._background.run(self._settle(conversation_id, completion_id, hold, context, until))

    async def _settle(
        self, conversation_id: UUID, completion_id: UUID, hold: CallHold | None, context: Context, until: float
    ) -> None:
        interrupted = CompletionInterrupted(
            completion_id=completion_id,
            reason="store_unavailable",
            cost_usd=ZERO if hold else None,
            assumed="the provider was not asked",
            attempts=1,
        )
        while True:
            await self._clock.sleep(ASK_EVERY)
            try:
                await change(
                    self._conversations,
                    conversation_id,
                    context,
                    lambda conversation: conversation.interrupt_completion(interrupted),
                )
            except (StoreUnavailable, StaleConversation):
                continue
            except NotFound:  # it was not stored
                if self._clock.monotonic() < until:
                    continue
            except Conflict:
                pass  # it has been ended by somebody else
            except Send2LLMError:
                logger.exception("an intent in doubt could not be ended")
            break
        if hold is not None:
            hold.end(0)
