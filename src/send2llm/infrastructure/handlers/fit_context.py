"""``fit_context``: what is too long for the model is sent without its oldest turns, or with a summary of them."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, PositiveInt, model_validator

from send2llm.application.open_call import Reply
from send2llm.domain.estimation import estimate_message_tokens
from send2llm.handlers import ContextShortened, Exchange, Handler, HandlerOptions, Message, Outgoing, Stretch
from send2llm.infrastructure.handlers.context.cutting import STANDING, left_out, newest_from, without
from send2llm.infrastructure.handlers.context.limits import Limit, limit_for
from send2llm.infrastructure.handlers.context.summaries import as_message, summarised

MOST_REMEMBERED = 10_000


class Options(HandlerOptions):
    """When a transcript is too long, and what is done about it."""

    mode: Literal["trim", "summarise"] = "trim"
    summary_model: str | None = None
    """Who summarises: ``provider/model``, or a route."""
    summary_tokens: PositiveInt = 500
    """The longest that a summary may be."""
    windows: dict[str, PositiveInt] = Field(default={})
    """Tokens of prompt and answer together, by ``provider/model``; the price catalogue knows those of many models."""
    answer_tokens: PositiveInt = 1024
    """What is left for the answer, where the caller sets no limit."""
    filled: float = Field(default=0.9, gt=0, le=1)
    """The part of the window that estimates may fill."""
    shortened_to: float = Field(default=0.7, gt=0, le=1)
    """What is too long is shortened to this part of what it may have: the next turns then fit without cutting again."""

    @model_validator(mode="after")
    def _somebody_summarises(self) -> "Options":
        if self.mode == "summarise" and self.summary_model is None:
            raise ValueError("to summarise needs a summary_model, such as openai/gpt-5-nano or a route")
        return self


class FitContext(Handler):
    """Shortens what is sent, never what is stored; an event says by what.

    What was left out once stays left out in later calls of the conversation, so that the beginning of what is sent
    stays the same, which providers' caches rely on, and a summary is written once.
    """

    needs_whole_transcript = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = Options.read("fit_context", options)
        self._counted: OrderedDict[UUID, tuple[int, int]] = OrderedDict()

    async def on_transcript(self, outgoing: Outgoing, exchange: Exchange) -> Outgoing:
        """The same, or less to be sent."""
        options = self._options
        limit = limit_for(outgoing, exchange, options.windows, options.answer_tokens, options.filled)
        if limit is None:
            return outgoing
        whole = self._tokens_of(outgoing)
        if whole <= limit.messages:
            return outgoing
        before = outgoing.shortened_before
        if before is not None:
            kept = _kept(outgoing.transcript, before.left_out, before.summary)
            if estimate_message_tokens(kept) <= limit.messages:
                return replace(outgoing, messages=kept)
        return await self._shortened(outgoing, exchange, limit, whole)

    async def _shortened(self, outgoing: Outgoing, exchange: Exchange, limit: Limit, whole: int) -> Outgoing:
        transcript, before = outgoing.transcript, outgoing.shortened_before
        summarise = self._options.mode == "summarise"
        standing = estimate_message_tokens(message for message in transcript if message.role in STANDING)
        room = int(limit.messages * self._options.shortened_to) - standing
        first = newest_from(transcript, room - self._options.summary_tokens if summarise else room)
        reply = await self._summary(outgoing, exchange, first) if summarise and first else None
        summary = reply.completion.answers[0].message.text.strip() if reply else ""
        gone = left_out(transcript, first)
        if not gone:
            return outgoing
        kept = _kept(transcript, gone, summary)
        shortened = ContextShortened(
            completion_id=outgoing.completion_id,
            mode="summarised" if summary else "trimmed",
            left_out=gone,
            tokens_before=whole,
            tokens_after=estimate_message_tokens(kept),
            token_limit=limit.messages,
            context_window=limit.window,
            summary=summary,
            summary_conversation_id=reply.conversation_id if reply else None,
            summary_completion_id=reply.completion_id if reply else None,
        )
        return replace(outgoing, messages=kept, shortened=None if _same(shortened, before) else shortened)

    async def _summary(self, outgoing: Outgoing, exchange: Exchange, first: int) -> Reply | None:
        """Of what is left out: what an earlier summary tells of it, and the rest. Written once for a call."""
        notes: dict[tuple[UUID, int], Reply | None] = exchange.notes.setdefault(self, {})
        key = (outgoing.conversation_id, first)
        if key not in notes:
            before = outgoing.shortened_before
            told = before.left_out[-1].last if before is not None and before.summary else 0
            gone = [message for message in outgoing.transcript[told:first] if message.role not in STANDING]
            notes[key] = await summarised(
                exchange,
                self._options.summary_model or "",
                gone,
                before.summary if before else "",
                str(outgoing.conversation_id),
                self._options.summary_tokens,
            )
        return notes[key]

    def _tokens_of(self, outgoing: Outgoing) -> int:
        """What the transcript comes to; only what was not counted before is looked at: transcripts only grow."""
        stored, transcript = outgoing.stored_messages, outgoing.transcript
        count, tokens = self._counted.get(outgoing.conversation_id, (0, 0))
        if count > stored:  # an old copy of the conversation
            count = tokens = 0
        tokens += estimate_message_tokens(transcript[count:stored])
        self._counted[outgoing.conversation_id] = (stored, tokens)
        self._counted.move_to_end(outgoing.conversation_id)
        if len(self._counted) > MOST_REMEMBERED:
            self._counted.popitem(last=False)
        return tokens + estimate_message_tokens(transcript[stored:])


def _kept(transcript: Sequence[Message], gone: Sequence[Stretch], summary: str) -> Sequence[Message]:
    return without(transcript, gone, [as_message(summary)] if summary else [])


def _same(one: ContextShortened, other: ContextShortened | None) -> bool:
    """Whether the record says it already."""
    return other is not None and (one.mode, one.left_out, one.summary) == (other.mode, other.left_out, other.summary)
