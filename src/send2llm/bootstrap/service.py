"""A running worker."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import structlog
from eventsourcing.postgres import PostgresDatastore
from psycopg_pool import AsyncConnectionPool

from send2llm.application.background import Background
from send2llm.application.budgets.as_of import BudgetAsOf
from send2llm.application.budgets.commands import BudgetCommands
from send2llm.application.budgets.explanation import BudgetExplanations
from send2llm.application.budgets.holds import Holds
from send2llm.application.budgets.queries import BudgetQueries
from send2llm.application.budgets.upkeep import BudgetUpkeep
from send2llm.application.context import RecordedEvent
from send2llm.application.conversations import ConversationCommands
from send2llm.application.costs import CostQueries
from send2llm.application.feed import EventFeed
from send2llm.application.log_verification import SealedLog
from send2llm.application.moments import Moments
from send2llm.application.money_audit import AuditMoney
from send2llm.application.ports import (
    Clock,
    Identifiers,
    PriceBook,
)
from send2llm.application.projections import ProjectionBuilds, ProjectionStatuses
from send2llm.application.provider_health import LATELY, ProviderHealth, ProviderHealths
from send2llm.application.published_events import PublishedEvents
from send2llm.application.queries import HistoryQueries
from send2llm.application.recovery import RecoverUnfinishedCalls
from send2llm.application.reports_as_of import ReportsAsOf
from send2llm.application.send_message import MessageSender
from send2llm.application.templates import TemplateCommands, Templates
from send2llm.application.time_travel import ConversationAsOf, ConversationLog
from send2llm.application.token_counts import TokenCounts
from send2llm.application.trail import Trails
from send2llm.application.usage import UsageQueries
from send2llm.bootstrap.database import database_of, refuse_old_schema
from send2llm.bootstrap.texts import refuse_lost_master_keys
from send2llm.domain.errors import StaleBudget, StoreUnavailable
from send2llm.domain.routing import ModelNames
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.event_store.guards import check_environment, check_server
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres.process_registry import RegisteredProcess
from send2llm.infrastructure.postgres.recalls import RecallListener
from send2llm.infrastructure.providers.registry import ConfiguredProviders
from send2llm.infrastructure.telemetry.metrics import Metrics
from send2llm.settings import Settings

logger = structlog.get_logger(__name__)


RECOVER_EVERY = 10.0
"""Seconds between two looks for calls whose process is gone."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running worker's use cases, and what it must start and stop. Made by ``build_service``."""

    settings: Settings
    names: ModelNames
    providers: ConfiguredProviders
    sender: MessageSender
    token_counts: TokenCounts
    conversations: ConversationCommands
    history: HistoryQueries
    costs: CostQueries
    usage: UsageQueries
    as_of: ConversationAsOf
    moments: Moments
    reports_as_of: ReportsAsOf
    log: ConversationLog
    feed: EventFeed
    published: PublishedEvents
    projection_statuses: ProjectionStatuses
    projection_builds: ProjectionBuilds
    events: EventRegistry
    metrics: Metrics
    identifiers: Identifiers
    prices: PriceBook
    budgets: BudgetCommands
    budget_queries: BudgetQueries
    budget_explanations: BudgetExplanations
    budgets_as_of: BudgetAsOf
    audit_money: AuditMoney
    seals: SealedLog
    trails: Trails
    templates: Templates
    template_commands: TemplateCommands
    _clock: Clock
    _healths: ProviderHealths
    _holds: Holds
    _upkeep: BudgetUpkeep
    _recover: RecoverUnfinishedCalls
    _background: Background
    _registered: RegisteredProcess
    _recorder: GroupCommitRecorder
    _datastore: PostgresDatastore
    _pool: AsyncConnectionPool
    _stack: AsyncExitStack = field(init=False, default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Open what is shared; raises ``StoreUnavailable`` or ``ConfigurationError`` when it cannot work."""
        check_environment(os.environ)
        await asyncio.to_thread(self._check_database)
        await self._pool.open()
        self._stack.push_async_callback(self._pool.close)
        self._stack.push_async_callback(asyncio.to_thread, self._datastore.close)
        self._stack.push_async_callback(asyncio.to_thread, self._recorder.close)
        self._stack.push_async_callback(self.providers.aclose)
        await asyncio.to_thread(self._registered.start)
        self._stack.push_async_callback(asyncio.to_thread, self._registered.stop)
        await self._upkeep.start()
        self._stack.push_async_callback(self._upkeep.stop)
        self._stack.push_async_callback(self._background.drain, self.settings.shutdown_seconds)
        for work in (self._keep_recovering(), *self._upkeep.works()):
            self._stack.push_async_callback(end_tasks, asyncio.create_task(work))
        self._stack.push_async_callback(asyncio.to_thread, self._listen_for_recalls().stop)

    def about_to_stop(self) -> None:
        """Let those go who follow what happens: they would stay for ever."""
        self.published.close()

    async def stop(self) -> None:
        """Finish what goes on in the background, and close everything."""
        await self._stack.aclose()

    async def readiness(self) -> dict[str, str]:
        """What the service needs, each ``ok`` or what is wrong."""
        checks = {"providers": "ok" if self.settings.providers else "none is configured: set OPENAI_API_KEY"}
        try:
            await self.feed.head()
            checks["event_store"] = "ok"
        except StoreUnavailable as error:
            checks["event_store"] = str(error)
        checks["process"] = "ok" if self._registered.held else "not registered in the database at the moment"
        return checks

    async def metrics_page(self) -> tuple[bytes, str]:
        """The metrics in the Prometheus text format, and its media type."""
        self.metrics.append_queue_depth(self._recorder.waiting_appends)
        try:
            for status in await self.projection_statuses.all():
                if status.role in ("live", "relay"):
                    self.metrics.projection_stands(status)
        except StoreUnavailable:
            logger.warning("metrics.projections_unknown")
        return await asyncio.to_thread(self.metrics.render)

    async def conversation_events(self, conversation_id: UUID, after: int, limit: int) -> Sequence[RecordedEvent]:
        """A conversation's events after a version; raises ``ConversationNotFound``."""
        await self.as_of.version(conversation_id, 1)
        events = await self.log.events_of(conversation_id)
        return [event for event in events if event.version > after][:limit]

    async def provider_healths(self) -> Mapping[str, ProviderHealth]:
        """How the providers did lately, those at which nothing was attempted left out."""
        found = await self._healths.since(self._clock.now() - LATELY)
        return {health.provider: health for health in found}

    def event_data(self, recorded: RecordedEvent) -> Any:
        """What happened in an event, as it is stored."""
        return self.events.of_event(recorded.event).write(recorded.event)

    def _check_database(self) -> None:
        refuse_old_schema(database_of(self.settings))
        refuse_lost_master_keys(database_of(self.settings), self.settings)
        with psycopg.connect(database_of(self.settings).dsn) as connection:
            for warning in check_server(connection):
                logger.warning("database.not_durable", setting=warning.setting, value=warning.value)

    def _listen_for_recalls(self) -> RecallListener:
        loop = asyncio.get_running_loop()

        def recalled(budget_id: UUID, period_key: str) -> None:
            loop.call_soon_threadsafe(lambda: self._background.run(self._give_back(budget_id, period_key)))

        listener = RecallListener(database_of(self.settings).dsn, recalled)
        listener.start()
        return listener

    async def _give_back(self, budget_id: UUID, period_key: str) -> None:
        with suppress(StoreUnavailable, StaleBudget):  # it goes home a little later then
            await self._holds.recalled(budget_id, period_key)

    async def _keep_recovering(self) -> None:
        """Calls whose process is gone are found soon after the start, and from then on from time to time."""
        while True:
            try:
                recovery = await self._recover()
                if recovery.interrupted:
                    logger.info("calls_recovered", interrupted=len(recovery.interrupted))
            except StoreUnavailable:
                logger.warning("recovery.database_away")
            except Exception:  # whatever it was, the next look may succeed, and nobody else would look
                logger.exception("recovery.failed")
            await asyncio.sleep(RECOVER_EVERY)
