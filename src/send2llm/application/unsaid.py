"""How a call ends whose texts cannot be stored, because nobody could read them again."""

from dataclasses import replace

from send2llm.application.change import change
from send2llm.application.open_call import OpenCall
from send2llm.application.ports import Conversations
from send2llm.domain.conversation_events import CompletionFailed, CompletionInterrupted, CompletionReceived

Ending = CompletionReceived | CompletionFailed | CompletionInterrupted


async def end_without_texts(conversations: Conversations, call: OpenCall, ending: Ending) -> None:
    """Store what is for the books of an ending: the conversation waits no longer, and what the call cost is known.

    Raises what ``change`` does.
    """
    interrupted = _without_texts(call, ending)
    await change(
        conversations,
        call.conversation_id,
        call.context,
        lambda conversation: conversation.interrupt_completion(interrupted),
        texts=False,
    )


def _without_texts(call: OpenCall, ending: Ending) -> CompletionInterrupted:
    interrupted = CompletionInterrupted(
        completion_id=call.completion_id,
        reason="store_unavailable",
        duration=ending.duration,
        attempts=ending.attempts,
        provider=call.candidate.provider,
        model=call.candidate.model,
    )
    if isinstance(ending, CompletionFailed):
        return interrupted
    return replace(
        interrupted,
        reported_usage=ending.reported_usage,
        estimated_usage=ending.estimated_usage,
        cost_usd=ending.cost_usd,
        price_version=ending.price_version,
        assumed=ending.assumed,
    )
