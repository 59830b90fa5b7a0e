"""Holding many conversations at once, through restarts of the service, each turn answered exactly once.

Nothing is remembered here. The ids of conversations and the idempotency keys of turns follow from the file,
so the service itself knows what was answered before and gives the recorded answer for it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx2

from send2llm.domain.errors import (
    AuthenticationFailed,
    CompletionInProgress,
    ConversationAlreadyStarted,
    IdempotencyKeyReused,
    ModelNotAvailable,
    PermissionDenied,
    QuotaExhausted,
    StaleConversation,
    StoreOverloaded,
    StoreUnavailable,
    UnknownModel,
)
from send2llm.interfaces.cli.asking import Asking
from send2llm.interfaces.cli.batch_file import BatchConversation
from send2llm.interfaces.cli.errors import CommandFailed, ServiceProblem
from send2llm.interfaces.cli.service import client_options, failure, first_model, problem, read_document

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
"""Seconds before a request is sent again; each wait is twice the one before."""

_PASSES = frozenset({CompletionInProgress.code, StaleConversation.code})
_STAYS = frozenset({kind.code for kind in (AuthenticationFailed, PermissionDenied, ModelNotAvailable, QuotaExhausted)})
_CONCERNS_ALL = frozenset({UnknownModel.code, StoreUnavailable.code, StoreOverloaded.code})


@dataclass(slots=True)
class Outcome:
    """What became of one conversation: the answers so far, in the service's words, and why no more came."""

    conversation: BatchConversation
    answers: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = "It was not finished."

    @property
    def complete(self) -> bool:
        """Every turn has its answer."""
        return self.error is None


class Audience(Protocol):
    """Whoever watches a batch."""

    def answered(self) -> None:
        """One more turn has its answer."""
        ...

    def waiting(self, reason: str) -> None:
        """The service is away or busy; the batch waits for it."""
        ...

    def going_on(self) -> None:
        """The wait is over."""
        ...


class BatchRun:
    """Holds the conversations of a batch.

    ``patience`` is how many seconds a request that fails for a passing reason is sent again, and how many the
    whole batch goes on when no request succeeds at all.
    """

    def __init__(self, url: str, asking: Asking, *, patience: float, audience: Audience) -> None:
        self._url = url
        self._asking = asking
        self._patience = patience
        self._audience = audience
        self._trouble_since: float | None = None

    async def hold(
        self, conversations: Sequence[BatchConversation], concurrency: int
    ) -> tuple[list[Outcome], CommandFailed | None]:
        """Hold them all, ``concurrency`` at a time.

        Returns the outcomes, and why the batch was stopped early if it was.
        """
        outcomes = [Outcome(conversation) for conversation in conversations]
        waiting = iter(outcomes)
        stopped: CommandFailed | None = None
        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx2.AsyncClient(**client_options(self._url), limits=limits) as http:
            try:
                if not self._asking.model:
                    self._asking = replace(self._asking, model=await self._default_model(http))
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(concurrency, len(outcomes))):
                        workers.create_task(self._work(http, waiting))
            except* CommandFailed as several:
                first = several.exceptions[0]
                stopped = first if isinstance(first, CommandFailed) else None
        return outcomes, stopped

    async def _default_model(self, http: httpx2.AsyncClient) -> str:
        return first_model(await self._ask(http, "GET", "/v1/models"))

    async def _work(self, http: httpx2.AsyncClient, waiting: Iterator[Outcome]) -> None:
        for outcome in waiting:
            try:
                await self._converse(http, outcome)
                outcome.error = None
            except CommandFailed as error:
                outcome.error = str(error)
                if _concerns_all(error):
                    raise

    async def _converse(self, http: httpx2.AsyncClient, outcome: Outcome) -> None:
        conversation = outcome.conversation
        identifier = str(conversation.conversation_id)
        start = {"id": identifier, "labels": dict(conversation.labels)}
        try:
            await self._ask(http, "POST", "/api/conversations", json=start)
        except ServiceProblem as error:
            if error.problem != ConversationAlreadyStarted.code:  # an earlier run has started it
                raise
        for turn, content in enumerate(conversation.turns, 1):
            answer = await self._ask(
                http,
                "POST",
                f"/api/conversations/{identifier}/messages",
                json=self._asking.body(content, first=turn == 1, system=conversation.system),
                headers={"Idempotency-Key": conversation.idempotency_key(turn)},
            )
            outcome.answers.append(answer)
            self._over()
            self._audience.answered()

    async def _ask(self, http: httpx2.AsyncClient, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """Send a request until it succeeds, fails for good, or patience ends."""
        now = asyncio.get_running_loop().time
        began: float | None = None
        wait = FIRST_WAIT
        while True:
            try:
                return await self._once(http, method, path, **arguments)
            except CommandFailed as error:
                if not _passes(error):
                    raise _explained(error) from error.__cause__
                began = now() if began is None else began
                pause = max(wait, getattr(error, "retry_after", None) or 0.0)
                if now() + pause > min(began, self._trouble(now(), error)) + self._patience:
                    raise
            await asyncio.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT)

    async def _once(self, http: httpx2.AsyncClient, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = await http.request(method, path, **arguments)
            if not response.is_success:
                raise problem(response, self._url)
            return read_document(response, self._url)
        except httpx2.TransportError as error:
            raise failure(error, self._url) from error

    def _trouble(self, now: float, error: CommandFailed) -> float:
        """Since when nothing has been answered while somebody waits."""
        if self._trouble_since is None:
            self._trouble_since = now
            self._audience.waiting(str(error))
        return self._trouble_since

    def _over(self) -> None:
        if self._trouble_since is not None:
            self._trouble_since = None
            self._audience.going_on()


def _passes(error: CommandFailed) -> bool:
    """Whether the same request may succeed later."""
    if not isinstance(error, ServiceProblem):
        return True
    if error.problem in _STAYS:
        return False
    return error.problem in _PASSES or error.status == 429 or error.status >= 500


def _concerns_all(error: CommandFailed) -> bool:
    """Whether the next conversation would meet the same fate."""
    if not isinstance(error, ServiceProblem):
        return True
    return error.status in {401, 403} or error.problem in _CONCERNS_ALL


def _explained(error: CommandFailed) -> CommandFailed:
    if isinstance(error, ServiceProblem) and error.problem == IdempotencyKeyReused.code:
        return ServiceProblem(
            "It was sent before with another model or other options. Use those, or give this run a --name.",
            status=error.status,
            problem=error.problem,
        )
    return error
