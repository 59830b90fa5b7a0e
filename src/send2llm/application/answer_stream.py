"""An answer that comes piece by piece."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace

from send2llm.application.answer_rewriter import AnswerRewriter
from send2llm.application.open_call import OpenCall, Reply
from send2llm.application.outcomes import Outcomes
from send2llm.application.patience import CallerLeft
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.completion_builder import CompletionBuilder
from send2llm.domain.conversation_events import InterruptionReason
from send2llm.domain.errors import ProviderError, Send2LLMError


class AnswerStream:
    """Passes the pieces on as they come, and holds back the end until the outcome is stored.

    A caller that has seen the end of its answer can rely on it: the answer is in the event store.
    """

    def __init__(
        self,
        call: OpenCall,
        first: Sequence[Delta],
        rest: AsyncIterator[Sequence[Delta]],
        outcomes: Outcomes,
        rewriter: AnswerRewriter | None = None,
    ) -> None:
        """``rewriter`` changes what is passed on, and never what is stored."""
        self.call = call
        self._next: Sequence[Delta] | None = first
        self._rest = rest
        self._outcomes = outcomes
        self._rewriter = rewriter
        self._builder = CompletionBuilder()
        self._open_choices = call.parameters.choices
        self.reply: Reply | None = None
        """Set when the stream has ended well."""

    async def batches(self) -> AsyncGenerator[Sequence[Delta]]:
        """Yield what may be passed on; raises ``ProviderError``, ``CallerLeft``, ``StoreUnavailable``."""
        held: list[Delta] = []
        try:
            while self._next is not None:
                passed = self._take(self._next, held)
                if passed:
                    yield passed if self._rewriter is None else self._rewriter.pieces(passed)
                self._next = await self._outcomes.timed(
                    self.call, self.call.patience.for_next_token(anext(self._rest, None))
                )
            completion = self._builder.completion()
        except CallerLeft:
            await self._close()
            await self._outcomes.interrupted(self.call, "client_disconnected", self._builder.partial())
            raise
        except ProviderError as error:
            await self._close()
            await self._outcomes.broken(self.call, error, self._builder.partial())
            raise
        except (asyncio.CancelledError, GeneratorExit):  # abandoned by whoever iterates: it cannot wait here
            gone = self.call.patience.caller.gone
            reason: InterruptionReason = "client_disconnected" if gone else "shutdown"
            self._outcomes.interrupted_later(self.call, reason, self._builder.partial())
            raise
        except Exception:  # our own mistake: even then the call must not stay open
            self._outcomes.interrupted_later(self.call, "internal_error", self._builder.partial())
            raise
        self.reply = await self._stored(completion)
        if self._rewriter is not None:
            self.reply = replace(self.reply, completion=self._rewriter.whole(completion))
            held = [*self._rewriter.pieces(held), *self._rewriter.end()]
        if held:
            yield held

    async def _stored(self, completion: Completion) -> Reply:
        try:
            return await self._outcomes.received(self.call, completion)
        except Send2LLMError:
            raise
        except Exception:  # an answer that cannot be stored, say: even then the call must not stay open
            self._outcomes.interrupted_later(self.call, "internal_error", self._builder.partial())
            raise

    def _take(self, batch: Sequence[Delta], held: list[Delta]) -> Sequence[Delta]:
        """Fold a batch; what belongs to the end goes to ``held``, the rest is returned to be passed on."""
        passed: list[Delta] = []
        for delta in batch:
            self._builder.add(delta)
            if self.call.time_to_first_token is None and (
                delta.text or delta.tool_calls or delta.reasoning or delta.refusal
            ):
                self._outcomes.first_token(self.call)
            if delta.finish_reason is not None:
                self._open_choices -= 1
            (held if held or self._open_choices <= 0 else passed).append(delta)
        return passed

    async def _close(self) -> None:
        close = getattr(self._rest, "aclose", None)
        if close is not None:
            await close()
