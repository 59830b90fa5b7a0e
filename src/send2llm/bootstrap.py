"""The composition root: the only place where concrete parts are put together."""

# Longer than 400 lines because it is the one place: half of it are imports and lists of parts.

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import punq
import structlog
from eventsourcing.postgres import PostgresDatastore
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.exc import OperationalError

from send2llm import __version__
from send2llm.application.admission import Admission
from send2llm.application.background import Background
from send2llm.application.budgets.abandoned import SettleAbandonedAllowances
from send2llm.application.budgets.as_of import BudgetAsOf, BudgetLog, PastUses
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
from send2llm.application.budgets.ports import BudgetObserver, Budgets, Recalls
from send2llm.application.budgets.queries import BudgetQueries, PeriodUses
from send2llm.application.budgets.upkeep import BudgetUpkeep
from send2llm.application.charges import Charges
from send2llm.application.context import RecordedEvent
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
    Provider,
    Providers,
    Randomness,
)
from send2llm.application.projections import Projection, ProjectionBuilds, ProjectionStatuses
from send2llm.application.provider_health import LATELY, ProviderHealth, ProviderHealths
from send2llm.application.published_events import PublishedEvents, Wanted
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
from send2llm.domain.errors import ConfigurationError, StaleBudget, StoreUnavailable
from send2llm.domain.routing import ModelNames
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.event_store.budgets import EventSourcedBudgets
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.conversations import EventSourcedConversations
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.group_commit import GroupCommitOptions, GroupCommitRecorder
from send2llm.infrastructure.event_store.guards import check_environment, check_server
from send2llm.infrastructure.event_store.streams import BudgetStreams
from send2llm.infrastructure.event_store.templates import EventSourcedTemplates
from send2llm.infrastructure.event_store.text_key_rows import refuse_unknown_master_key
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.feed.documents import EventDocuments
from send2llm.infrastructure.feed.pages import EventPages
from send2llm.infrastructure.feed.published import PostgresPublishedEvents
from send2llm.infrastructure.handlers.loading import load_handlers
from send2llm.infrastructure.log_seals.queries import PostgresSeals
from send2llm.infrastructure.log_seals.sealer import LogSealer
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo, default_data_dir
from send2llm.infrastructure.postgres.process_registry import PostgresProcesses, RegisteredProcess
from send2llm.infrastructure.postgres.recalls import PostgresRecalls, RecallListener
from send2llm.infrastructure.prices import GenaiPriceBook, OverridePriceBook
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.loading import own_projections
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.shared_decoding import SharedDecoder
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.infrastructure.providers.configuration import ProviderConfig
from send2llm.infrastructure.providers.families import make_provider
from send2llm.infrastructure.providers.presets import PRESETS, Preset
from send2llm.infrastructure.providers.registry import ConfiguredProviders
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.cost_queries import PostgresCosts
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.history_queries import PostgresHistory
from send2llm.infrastructure.read_models.migration import pending
from send2llm.infrastructure.read_models.provider_health import PostgresProviderHealth
from send2llm.infrastructure.read_models.reports_as_of import PostgresReportsAsOf
from send2llm.infrastructure.read_models.statements import PresentTables
from send2llm.infrastructure.read_models.trail import TrailProjection
from send2llm.infrastructure.read_models.trail_queries import PostgresTrails
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.read_models.usage_queries import PostgresUsage
from send2llm.infrastructure.relay.relay import EventRelay
from send2llm.infrastructure.system import SystemClock, SystemRandomness, TimeOrderedIdentifiers
from send2llm.infrastructure.telemetry.budget_observer import TelemetryBudgetObserver
from send2llm.infrastructure.telemetry.metrics import Metrics
from send2llm.infrastructure.telemetry.observer import TelemetryObserver
from send2llm.settings import ProviderSettings, Settings

logger = structlog.get_logger(__name__)

RECOVER_EVERY = 10.0
"""Seconds between two looks for calls whose process is gone."""

TEXT_KEYS_FILE = "texts.key"
"""Where the master key of texts in the embedded database is, in the data folder."""

READ_CONNECTIONS = 8
"""Connections of one process for reading; writing has one of its own."""


def database_of(settings: Settings) -> ConnectionInfo:
    """Where the events are; raises ``ConfigurationError`` when no database URL is set."""
    if settings.database_url is None:
        raise ConfigurationError(
            "There is no database: set SEND2LLM_DATABASE_URL, or start the service with `send2llm serve`, "
            "which brings its own."
        )
    return ConnectionInfo.parse(settings.database_url.get_secret_value())


def refuse_old_schema(database: ConnectionInfo) -> None:
    """Raise ``ConfigurationError`` when migrations are missing; blocks."""
    try:
        missing = pending(database)
    except OperationalError as error:
        raise ConfigurationError(f"The database cannot be reached: {error.orig}") from None
    if missing:
        raise ConfigurationError(
            f"The database is not up to date (missing: {', '.join(missing)}). Run `send2llm migrate` first."
        )


def refuse_lost_master_keys(database: ConnectionInfo, settings: Settings) -> None:
    """Raise ``ConfigurationError`` when there are texts that the settings hold no master key for; blocks."""
    with psycopg.connect(database.dsn) as connection:
        refuse_unknown_master_key(connection, text_keys(settings))


def ready_master_keys(database: ConnectionInfo, settings: Settings, file: Path | None) -> None:
    """Make the ``file`` of master keys where none is set or there, but not in the place of one that was lost; blocks.

    Raises ``ConfigurationError`` as ``refuse_lost_master_keys`` does.
    """
    refuse_lost_master_keys(database, settings)
    if settings.encryption.key is None and file is not None:
        TextKeys.of_file(file)


def projections(settings: Settings) -> Sequence[Projection]:
    """The read models that the service builds; raises ``ConfigurationError`` for one that cannot be loaded."""
    built_in = built_in_projections()
    return (*built_in, *own_projections(settings.projections, beside=built_in))


def built_in_projections() -> Sequence[Projection]:
    """The read models that every service builds."""
    return (HistoryProjection(), CostLedgerProjection(), UsageProjection(), TrailProjection())


def text_keys(settings: Settings) -> TextKeys | None:
    """The master keys, ``None`` when there are none; makes none. Raises ``ConfigurationError`` for what is no key."""
    given = settings.encryption
    if given.key is not None:
        return TextKeys.parse(given.key.get_secret_value(), "encryption.key")
    file = given.key_file
    if file is None and settings.database_url is None:
        file = (settings.data_dir or default_data_dir()) / TEXT_KEYS_FILE
    return TextKeys.of_file(file) if file is not None and file.exists() else None


def event_codec(settings: Settings, registry: EventRegistry | None = None) -> EventCodec:
    """What turns events into rows and back, texts included.

    Raises ``ConfigurationError`` when the key file is gone: that is no wish to store texts in plain.
    """
    keys = text_keys(settings)
    if keys is None and settings.encryption.key_file is not None:
        raise ConfigurationError(
            f"There is no key file {settings.encryption.key_file}. Put it back if it was lost; `send2llm serve` makes "
            "one where nothing is encrypted yet."
        )
    return EventCodec(registry or EventRegistry.default(), keys)


def build_projector(settings: Settings) -> Projector:
    """What folds events into read models, for a process of its own."""
    decoder = SharedDecoder(event_codec(settings))
    return Projector(database_of(settings), projections(settings), decoder)


def build_sealer(settings: Settings) -> LogSealer | None:
    """What seals the log, beside the projector; ``None`` without a key. Raises ``ConfigurationError`` for a bad one."""
    seals = settings.seals
    if seals.key is not None:
        key = SealingKey.parse(seals.key.get_secret_value(), "seals.key")
    elif seals.key_file is not None:
        key = SealingKey.of_file(seals.key_file)
    else:
        return None
    return LogSealer(database_of(settings), key, seal_every=seals.every_seconds)


def build_relay(settings: Settings) -> EventRelay | None:
    """What hands events on to NATS, beside the projector; ``None`` without an address.

    Raises ``ConfigurationError`` when the library for it is not installed.
    """
    relay = settings.relay
    if relay.url is None:
        return None
    try:
        from send2llm.infrastructure.relay.nats_jetstream import (  # noqa: PLC0415 - an optional extra
            NatsJetStream,
            NatsOptions,
        )
    except ImportError:
        raise ConfigurationError("relay.url needs the library for NATS: pip install 'send2llm[nats]'.") from None
    options = NatsOptions(relay.url.get_secret_value(), relay.stream, relay.subject, relay.credentials_file)
    return EventRelay(
        database_of(settings).dsn,
        event_codec(settings),
        "relay_nats",
        lambda: NatsJetStream(options),
        Wanted(frozenset(relay.topics)),
    )


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
                if status.role == "live":
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
    metrics = Metrics(version=__version__, known_models=_known_models(settings))
    providers = _providers(settings)
    catalogue = _catalogue(settings, clock)
    prices = _price_book(settings, catalogue)
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
    yield ContextWindows, catalogue
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


def _providers(settings: Settings) -> ConfiguredProviders:
    return ConfiguredProviders({name: _provider(name, one, settings) for name, one in settings.providers.items()})


def _provider(name: str, provider: ProviderSettings, settings: Settings) -> Provider:
    return make_provider(provider.format, provider_config(name, provider, settings))


def provider_config(
    name: str, provider: ProviderSettings, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None
) -> ProviderConfig:
    """What a provider is made from."""
    return ProviderConfig(
        name=name,
        base_url=provider.base_url,
        api_key=provider.api_key.get_secret_value() if provider.api_key else None,
        headers=provider.headers,
        options=provider.options,
        leave_out=provider.leave_out,
        connect_timeout=settings.timeouts.connect,
        transport=transport,
    )


def price_book(settings: Settings, clock: Clock) -> OverridePriceBook:
    """What models cost, from the configuration and the catalogue."""
    return _price_book(settings, _catalogue(settings, clock))


def price_book_of_history(settings: Settings, clock: Clock) -> OverridePriceBook:
    """The same, and also what known providers cost that are not configured, or are no longer."""
    return _price_book(settings, catalogue_of_history(settings, clock))


def catalogue_of_history(settings: Settings, clock: Clock) -> GenaiPriceBook:
    """The catalogue, with known providers that are not configured, or are no longer."""
    return _catalogue(settings, clock, PRESETS)


def _catalogue(
    settings: Settings, clock: Clock, presets: Mapping[str, Preset] = MappingProxyType({})
) -> GenaiPriceBook:
    known: dict[str, Preset | ProviderSettings] = {**presets, **settings.providers}
    return GenaiPriceBook(
        {name: provider.base_url for name, provider in known.items()},
        clock,
        catalogue_ids={name: one.price_provider for name, one in known.items() if one.price_provider},
    )


def _price_book(settings: Settings, catalogue: PriceBook) -> OverridePriceBook:
    configured = settings.providers
    return OverridePriceBook(
        {name: price.model_dump() for name, price in settings.prices.items()},
        otherwise=catalogue,
        free={name for name, provider in configured.items() if provider.free},
    )


def model_names(settings: Settings) -> ModelNames:
    """What callers may call a model."""
    listed = {name: provider.models for name, provider in settings.providers.items()}
    closed = {name for name, provider in settings.providers.items() if provider.only_listed}
    beginnings = {name: provider.models_begin_with for name, provider in settings.providers.items()}
    return ModelNames(listed, settings.routes, settings.default_provider, closed, beginnings)


def _known_models(settings: Settings) -> list[tuple[str, str]]:
    return [(name, model) for name, provider in settings.providers.items() for model in provider.models]
