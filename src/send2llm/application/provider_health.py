"""How providers did lately, as the recorded attempts tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from send2llm.domain.errors import ContentFiltered, ContextLengthExceeded, ModelNotAvailable, RequestRejected

LATELY = timedelta(hours=1)
"""How far back attempts say something about now."""

CALLERS_FAULT = frozenset(
    kind.code for kind in (RequestRejected, ContextLengthExceeded, ContentFiltered, ModelNotAvailable)
)
"""Errors with which a provider that works well answers a request that is wrong."""

State = Literal["ok", "degraded", "failing"]


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """The attempts at one provider that ended lately, of which so many ``failed`` through no fault of the caller.

    ``last_error`` is the code of the error with which the last of them failed, ``None`` if it did not.
    """

    provider: str
    attempts: int
    failed: int
    last_at: datetime
    last_error: str | None

    @property
    def state(self) -> State:
        """``failing`` if the last attempt failed, ``degraded`` if others did."""
        if self.last_error is not None:
            return "failing"
        return "degraded" if self.failed else "ok"


class ProviderHealths(Protocol):
    """How all providers did."""

    async def since(self, moment: datetime) -> Sequence[ProviderHealth]:
        """Those at which attempts have ended since then; follows the events within moments.

        Raises ``StoreUnavailable``.
        """
        ...
