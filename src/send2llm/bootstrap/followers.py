"""What follows the log, each beside the service that writes it: projections, seals, the relay."""

from collections.abc import Sequence

from send2llm.application.projections import Projection
from send2llm.application.published_events import Wanted
from send2llm.bootstrap.database import database_of
from send2llm.bootstrap.texts import event_codec
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.log_seals.sealer import LogSealer
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.projections.loading import own_projections
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.shared_decoding import SharedDecoder
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.trail import TrailProjection
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.relay.names import RELAY_TO_NATS
from send2llm.infrastructure.relay.relay import EventRelay
from send2llm.settings import Settings


def projections(settings: Settings) -> Sequence[Projection]:
    """The read models that the service builds; raises ``ConfigurationError`` for one that cannot be loaded."""
    built_in = built_in_projections()
    return (*built_in, *own_projections(settings.projections, beside=built_in))


def built_in_projections() -> Sequence[Projection]:
    """The read models that every service builds."""
    return (HistoryProjection(), CostLedgerProjection(), UsageProjection(), TrailProjection())


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
        RELAY_TO_NATS,
        lambda: NatsJetStream(options),
        Wanted(frozenset(relay.topics)),
    )
