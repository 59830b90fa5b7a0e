"""The past, for programs in Python: conversations, budgets and reports as they were, read from the database alone.

``TimeTravel`` needs the settings of the service, and no service; ``at`` gives a moment, to be asked like the present::

    async with TimeTravel() as log:
        then = await log.at(datetime(2026, 11, 23, 12, tzinfo=UTC))  # or a position of the log
        for line in await then.costs(by=["provider"]):
            print(line.group, line.cost_usd)

Errors are those of ``send2llm.domain.errors``: ``InvalidRequest`` for a moment that has not come yet or was before
everything, ``ConversationNotFound`` and ``BudgetNotFound`` for what was not there yet, ``StoreUnavailable``.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Select

from send2llm.application.budgets.as_of import BudgetAsOf
from send2llm.application.budgets.explanation import BudgetExplanations, Explanation, Figure
from send2llm.application.budgets.queries import BudgetReport
from send2llm.application.costs import CostFilter, CostLine, Group
from send2llm.application.moments import Moment, Moments
from send2llm.application.money_audit import AuditMoney, MoneyAudit
from send2llm.application.projections import Projection
from send2llm.application.queries import EVERYTHING, ConversationFilter, ConversationOrder, ConversationPage
from send2llm.application.time_travel import ConversationAsOf, ConversationThen
from send2llm.application.trail import Subject, TrailPage
from send2llm.application.usage import UsageGroup, UsageLine
from send2llm.bootstrap.prices import price_book_of_history
from send2llm.bootstrap.texts import event_codec
from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.event_store.budget_events import StoredBudgetEvents
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.streams import BudgetStreams
from send2llm.infrastructure.feed.documents import EventDocuments
from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.projections.soundness import checked
from send2llm.infrastructure.read_models.reports_as_of import PostgresReportsAsOf
from send2llm.infrastructure.read_models.trail_queries import PostgresTrails
from send2llm.infrastructure.system import SystemClock
from send2llm.settings import Settings, load_settings

__all__ = ["CostFilter", "Moment", "Subject", "Then", "TimeTravel"]

ALL = CostFilter()
"""Every call."""


@dataclass(frozen=True, slots=True)
class _Parts:
    moments: Moments
    conversations: ConversationAsOf
    budgets: BudgetAsOf
    explanations: BudgetExplanations
    reports: PostgresReportsAsOf
    trails: PostgresTrails
    audit: AuditMoney


def _parts(settings: Settings, database: ConnectionInfo, pool: AsyncConnectionPool) -> _Parts:
    codec, clock = event_codec(settings), SystemClock()
    log, reports = EventLog(pool, codec), PostgresReportsAsOf(ProjectionsAsOf(database, codec))
    budget_events = StoredBudgetEvents(log)
    return _Parts(
        Moments(log, clock),
        ConversationAsOf(log),
        BudgetAsOf(budget_events, reports),
        BudgetExplanations(budget_events, log, clock),
        reports,
        PostgresTrails(pool, EventDocuments(codec)),
        AuditMoney(log, BudgetStreams(), price_book_of_history(settings, clock)),
    )


class TimeTravel:
    """An asynchronous context manager, on the database of ``settings``: by default those that the service would have.

    Without a database URL the service's own PostgreSQL is used, and started if it does not run.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = load_settings() if settings is None else settings
        self._stack = AsyncExitStack()
        self._opened: _Parts | None = None

    async def at(self, when: int | datetime) -> "Then":
        """After the event at a position of the log, or after all that had happened up to a time (with its time zone).

        Raises ``InvalidRequest`` for what has not come yet, and for what is neither of the two.
        """
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise InvalidRequest("at: A time needs its time zone, such as tzinfo=UTC.", param="at")
            return Then(self._parts, await self._parts.moments.time(when))
        if type(when) is not int:  # a bool is no position, and a text may be meant as either
            raise InvalidRequest(f"at: {when!r:.100} is neither a position, such as 4711, nor a datetime.", param="at")
        if when < 0:
            raise InvalidRequest("at: Positions count from 1.", param="at")
        return Then(self._parts, await self._parts.moments.position(when))

    async def conversation(self, conversation_id: UUID, version: int) -> ConversationThen:
        """A conversation after its first ``version`` events."""
        return await self._parts.conversations.version(conversation_id, version)

    async def __aenter__(self) -> Self:
        database = await self._database()
        pool = AsyncConnectionPool(
            database.dsn, kwargs={"autocommit": True}, min_size=1, open=False, timeout=self._settings.store_wait_seconds
        )
        await self._stack.enter_async_context(pool)
        self._opened = _parts(self._settings, database, pool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened = None
        await self._stack.aclose()

    @property
    def _parts(self) -> _Parts:
        if self._opened is None:
            raise RuntimeError("TimeTravel is used as a context manager: async with TimeTravel() as log")
        return self._opened

    async def _database(self) -> ConnectionInfo:
        if self._settings.database_url is not None:
            return ConnectionInfo.parse(self._settings.database_url.get_secret_value())
        postgres, opened = EmbeddedPostgres(self._settings.data_dir), ExitStack()
        await asyncio.to_thread(opened.enter_context, postgres)
        self._stack.push_async_callback(asyncio.to_thread, opened.close)
        return postgres.connection_info


class Then:
    """What there was at ``moment``; made by ``TimeTravel.at``. Each answer is read anew."""

    def __init__(self, parts: _Parts, moment: Moment) -> None:
        self._parts = parts
        self.moment = moment

    async def conversation(self, conversation_id: UUID) -> ConversationThen:
        """A conversation with what had been said."""
        return await self._parts.conversations.moment(conversation_id, self.moment)

    async def budget(self, budget_id: UUID, period_key: str | None = None) -> BudgetReport:
        """Where a budget stood, in the period that ran or that of the key."""
        return await self._parts.budgets.one(budget_id, self.moment, period_key)

    async def explanation(
        self, budget_id: UUID, figure: Figure = "settled", period_key: str | None = None
    ) -> Explanation:
        """The events that a figure of a budget was the sum of, in the period that ran or that of the key."""
        return await self._parts.explanations.explain(budget_id, period_key, figure, self.moment)

    async def budgets(self, *, retired: bool = False) -> Sequence[BudgetReport]:
        """All budgets that there were."""
        return await self._parts.budgets.all(self.moment, retired=retired)

    async def costs(
        self, by: Sequence[Group] = ("provider", "model"), matching: CostFilter = ALL, time_zone: str = "UTC"
    ) -> Sequence[CostLine]:
        """What calls cost, as it was known."""
        return await self._parts.reports.costs(self.moment).costs(by, matching, time_zone)

    async def usage(
        self, by: Sequence[UsageGroup] = ("provider", "model"), matching: CostFilter = ALL, time_zone: str = "UTC"
    ) -> Sequence[UsageLine]:
        """How much had been asked, and how it had been answered."""
        return await self._parts.reports.usage(self.moment).usage(by, matching, time_zone)

    async def conversations(
        self,
        matching: ConversationFilter = EVERYTHING,
        *,
        order: ConversationOrder = "updated_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> ConversationPage:
        """The list of conversations."""
        history = self._parts.reports.history(self.moment)
        return await history.conversations(matching, order=order, limit=limit, cursor=cursor)

    async def trail(self, subject: Subject, after: int = 0, limit: int = 200) -> TrailPage:
        """Everything that had happened to one thing."""
        return await self._parts.trails.page(subject, after, limit, self.moment.position)

    async def audit_money(self) -> MoneyAudit:
        """Whether the books agreed."""
        return await self._parts.audit(moment=self.moment)

    async def rows(self, projection: Projection, *statements: Select[Any]) -> list[list[dict[str, Any]]]:
        """What ``statements`` find in the tables of a projection, which may be your own and need not be running.

        It is folded up to the moment into temporary tables, which nobody else sees, under the names that it gave them.
        Raises ``ConfigurationError`` for what no service would run as a projection, and what else its fold raises.
        """
        sound = checked(projection, type(projection).__name__)
        return await self._parts.reports.tables(sound, self.moment).read("the projection", *statements)
