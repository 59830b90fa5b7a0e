"""What has to be done for budgets from time to time, in every process that makes calls."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from send2llm.application.budgets.abandoned import SettleAbandonedAllowances
from send2llm.application.budgets.closing import CloseEndedPeriods
from send2llm.application.budgets.holds import Holds
from send2llm.application.ports import Clock
from send2llm.domain.errors import StaleBudget, StoreUnavailable

logger = logging.getLogger(__name__)

REFRESH_EVERY = 1.0
"""Seconds within which a process knows of a budget that was changed elsewhere."""

TIDY_EVERY = 0.5
"""Seconds between two looks for money that lies idle."""

SETTLE_EVERY = 3.0
"""Seconds between two looks for allowances of dead processes, and for periods that are over."""


class BudgetUpkeep:
    """Keeps the directory fresh, brings idle money home, and settles for those that are gone."""

    def __init__(
        self, holds: Holds, abandoned: SettleAbandonedAllowances, closing: CloseEndedPeriods, clock: Clock
    ) -> None:
        self._holds = holds
        self._abandoned = abandoned
        self._closing = closing
        self._clock = clock

    async def start(self) -> None:
        """Learn of all budgets before the first call; raises ``StoreUnavailable``."""
        await self._holds.refresh()

    def works(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What is to be run side by side, each until it is cancelled."""
        return [
            self._repeat(REFRESH_EVERY, self._holds.refresh),
            self._repeat(TIDY_EVERY, self._holds.tidy),
            self._repeat(SETTLE_EVERY, self._settle),
        ]

    async def stop(self) -> None:
        """Bring everything home, when the last call has ended; what cannot be is settled by others later."""
        try:
            await self._holds.close()
        except (StoreUnavailable, StaleBudget):
            logger.warning("budgets.money_left_behind")

    async def _settle(self) -> None:
        await self._abandoned()
        await self._closing()

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            try:
                await work()
            except StoreUnavailable:
                logger.warning("budgets.database_away")
            except StaleBudget:
                continue  # many processes at once; the next time will do
            except Exception:  # whatever it was, the next time may go well, and nobody else would try
                logger.exception("budgets.upkeep_failed")
