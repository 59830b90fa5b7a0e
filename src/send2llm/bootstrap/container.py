"""Puts one worker together."""

from collections.abc import Iterator
from typing import Any

import punq
from eventsourcing.postgres import PostgresDatastore
from psycopg_pool import AsyncConnectionPool

from send2llm import __version__
from send2llm.application.admission import Admission
from send2llm.application.background import Background
from send2llm.application.budgets.abandoned import SettleAbandonedAllowances
from send2llm.application.budgets.as_of import BudgetAsOf, PastUses
from send2llm.application.budgets.call_bounds import CallBounds
from send2llm.application.budgets.closing import CloseEndedPeriods
from send2llm.application.budgets.commands import BudgetCommands
from send2llm.application.budgets.directory import BudgetDirectory
from send2llm.application.budgets.explanation import BudgetExplanations
from send2llm.application.budgets.holds import Holds
from send2llm.application.budgets.lender import Lender
from send2llm.application.budgets.opening import Opening
from send2llm.application.budgets.patient_borrower import PatientBorrower
from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.budgets.ports import BudgetLog, BudgetObserver, Budgets, Recalls
from send2llm.application.budgets.queries import BudgetQueries, PeriodUses
from send2llm.application.budgets.upkeep import BudgetUpkeep
from send2llm.application.charges import Charges
from send2llm.application.conversations import ConversationCommands
from send2llm.application.costs import CostQueries
from send2llm.application.doubtful_intents import DoubtfulIntents
from send2llm.application.feed import EventFeed
from send2llm.application.handler_chain import HandlerChain
from send2llm.application.handler_surroundings import ContextWindows, HandlerSurroundings
from send2llm.application.intents import Intents
from send2llm.application.log_verification import SealedLog
from send2llm.application.moments import Moments
from send2llm.application.money_audit import AuditMoney, PriceVersions, StreamNames
from send2llm.application.outcomes import Outcomes
from send2llm.application.patience import Timeouts
from send2llm.application.ports import (
    Clock,
    Conversations,
    Identifiers,
    Observer,
    PriceBook,
    Providers,
    Randomness,
)
from send2llm.application.projections import ProjectionBuilds, ProjectionStatuses
from send2llm.application.provider_health import ProviderHealths
from send2llm.application.published_events import PublishedEvents
from send2llm.application.queries import HistoryQueries
from send2llm.application.recovery import Processes, RecoverUnfinishedCalls
from send2llm.application.reports_as_of import ReportsAsOf
from send2llm.application.retries import RetryPolicy
from send2llm.application.send_message import MessageSender
from send2llm.application.templates import TemplateCommands, Templates, TemplateShelf
from send2llm.application.time_travel import ConversationAsOf, ConversationLog
from send2llm.application.token_counts import TokenCounts
from send2llm.application.trail import Trails
from send2llm.application.usage import UsageQueries
from send2llm.bootstrap.database import database_of
from send2llm.bootstrap.followers import built_in_projections
from send2llm.bootstrap.models import known_models, model_names
from send2llm.bootstrap.prices import catalogue, price_book_over
from send2llm.bootstrap.providers import configured_providers
from send2llm.bootstrap.service import Service
from send2llm.bootstrap.texts import event_codec
from send2llm.domain.routing import ModelNames
from send2llm.infrastructure.event_store.budgets import EventSourcedBudgets
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.group_commit import GroupCommitOptions, GroupCommitRecorder
from send2llm.infrastructure.event_store.streams import BudgetStreams
from send2llm.infrastructure.event_store.templates import EventSourcedTemplates
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.feed.documents import EventDocuments
from send2llm.infrastructure.feed.pages import EventPages
from send2llm.infrastructure.feed.published import PostgresPublishedEvents
from send2llm.infrastructure.handlers.loading import load_handlers
from send2llm.infrastructure.log_seals.queries import PostgresSeals
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.postgres.process_registry import PostgresProcesses, RegisteredProcess
from send2llm.infrastructure.postgres.recalls import PostgresRecalls
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.infrastructure.providers.registry import ConfiguredProviders
from send2llm.infrastructure.read_models.cost_queries import PostgresCosts
from send2llm.infrastructure.read_models.history_queries import PostgresHistory
from send2llm.infrastructure.read_models.provider_health import PostgresProviderHealth
from send2llm.infrastructure.read_models.reports_as_of import PostgresReportsAsOf
from send2llm.infrastructure.read_models.statements import PresentTables
from send2llm.infrastructure.read_models.trail_queries import PostgresTrails
from send2llm.infrastructure.read_models.usage_queries import PostgresUsage
from send2llm.infrastructure.system import SystemClock, SystemRandomness, TimeOrderedIdentifiers
from send2llm.infrastructure.telemetry.budget_observer import TelemetryBudgetObserver
from send2llm.infrastructure.telemetry.metrics import Metrics
from send2llm.infrastructure.telemetry.observer import TelemetryObserver
from send2llm.settings import Settings

READ_CONNECTIONS = 8
"""Connections of one process for reading; writing has one of its own."""


USE_CASES = (
    Admission,
    AuditMoney,
    BudgetCommands,
    BudgetAsOf,
    BudgetExplanations,
    BudgetQueries,
    BudgetUpkeep,
    CallBounds,
    Charges,
    CloseEndedPeriods,
    ConversationAsOf,
    ConversationCommands,
    DoubtfulIntents,
    MessageSender,
    Moments,
    HandlerSurroundings,
    Opening,
    Outcomes,
    PatientBorrower,
    RecoverUnfinishedCalls,
    SettleAbandonedAllowances,
    TemplateCommands,
    TokenCounts,
)
"""What the container puts together by itself."""


def build_service(settings: Settings) -> Service:
    """Put one worker together; nothing is connected before ``Service.start``."""
    container = punq.Container()
    registered = RegisteredProcess(database_of(settings).dsn)
    for port, instance in (
        (RegisteredProcess, registered),
        *_of_the_settings(settings),
        *_of_the_database(settings),
    ):
        container.register(port, instance=instance)
    container.register(Conversations, EventSourcedConversations, scope=punq.Scope.singleton)
    container.register(Budgets, EventSourcedBudgets, scope=punq.Scope.singleton)
    container.register(BudgetLog, factory=lambda: container.resolve(Budgets))
    container.register(Templates, EventSourcedTemplates, scope=punq.Scope.singleton)
    container.register(TemplateShelf, scope=punq.Scope.singleton)
    container.register(BudgetDirectory, scope=punq.Scope.singleton)
    container.register(Holds, scope=punq.Scope.singleton)  # the money of this process
    container.register(Lender, holder=registered.name)
    container.register(Intents, process=registered.name)
    for part in USE_CASES:
        container.register(part)
    handlers = load_handlers(settings.handlers, settings.handler_options)
    container.register(HandlerChain, factory=lambda: HandlerChain(handlers, container.resolve(HandlerSurroundings)))
    container.register(Service)
    service: Service = container.resolve(Service)
    return service


def _of_the_settings(settings: Settings) -> Iterator[tuple[type, Any]]:
    """Parts that need no database."""
    clock = SystemClock()
    metrics = Metrics(version=__version__, known_models=known_models(settings))
    providers = configured_providers(settings)
    known = catalogue(settings, clock)
    prices = price_book_over(known, settings)
    yield Settings, settings
    yield Clock, clock
    yield Identifiers, TimeOrderedIdentifiers()
    yield Randomness, SystemRandomness()
    yield Metrics, metrics
    yield Observer, TelemetryObserver(metrics)
    yield BudgetObserver, TelemetryBudgetObserver(metrics)
    yield BudgetPolicy, settings.budgets.policy()
    yield Timeouts, Timeouts(**settings.timeouts.model_dump())
    yield RetryPolicy, RetryPolicy(**settings.retries.model_dump())
    yield ModelNames, model_names(settings)
    yield PriceBook, prices
    yield PriceVersions, prices
    yield ContextWindows, known
    yield Background, Background()
    yield StreamNames, BudgetStreams()
    yield Providers, providers
    yield ConfiguredProviders, providers


def _of_the_database(settings: Settings) -> Iterator[tuple[type, Any]]:
    """Parts that share the connections."""
    database = database_of(settings)
    pool = AsyncConnectionPool(
        database.dsn,
        kwargs={"autocommit": True},
        min_size=1,
        max_size=READ_CONNECTIONS,
        open=False,
        timeout=settings.store_wait_seconds,
    )
    datastore = _datastore(database, settings)
    events = EventRegistry.default()
    codec = event_codec(settings, events)
    log = EventLog(pool, codec)
    tables = PresentTables(pool)
    costs = PostgresCosts(tables)
    yield AsyncConnectionPool, pool
    yield PostgresDatastore, datastore
    yield (
        GroupCommitRecorder,
        GroupCommitRecorder(datastore, options=GroupCommitOptions(retry_for=settings.store_wait_seconds)),
    )
    yield EventRegistry, events
    yield EventCodec, codec
    yield EventFeed, log
    documents = EventDocuments(codec)
    yield PublishedEvents, PostgresPublishedEvents(EventPages(pool, documents), database.dsn)
    yield Trails, PostgresTrails(pool, documents)
    yield ConversationLog, log
    yield HistoryQueries, PostgresHistory(tables)
    yield CostQueries, costs
    yield UsageQueries, PostgresUsage(tables)
    yield PeriodUses, costs
    reports_as_of = PostgresReportsAsOf(ProjectionsAsOf(database, codec))
    yield ReportsAsOf, reports_as_of
    yield PastUses, reports_as_of
    yield ProviderHealths, PostgresProviderHealth(tables)
    yield Processes, PostgresProcesses(pool)
    yield Recalls, PostgresRecalls(pool)
    statuses = PostgresProjections(pool, codec)
    yield SealedLog, PostgresSeals(database)
    yield ProjectionStatuses, statuses
    own = [projection.name for projection in built_in_projections()]
    yield ProjectionBuilds, PostgresProjectionBuilds(database, statuses, indispensable=own)


def _datastore(database: ConnectionInfo, settings: Settings) -> PostgresDatastore:
    datastore = PostgresDatastore(
        dbname=database.dbname,
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        originator_id_type="text",
        lock_timeout=max(1, int(settings.store_wait_seconds)),  # seconds; 0 would be for ever
        idle_in_transaction_session_timeout=settings.store_wait_seconds,
    )
    # The library knows no further parameters (sslmode and the like); its pool and the writer pass these on.
    if isinstance(datastore.pool.kwargs, dict):
        datastore.pool.kwargs.update(database.parameters)
    return datastore
