"""Runs projections from a script of one's own, beside the service or without it.

A service builds what its configuration names, and what installed packages offer; for that nothing has to be run. This
is for a report that lives with somebody's own program, for a notebook, and for trying something out.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from send2llm.bootstrap.database import refuse_old_schema
from send2llm.bootstrap.followers import built_in_projections
from send2llm.bootstrap.texts import event_codec
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres
from send2llm.infrastructure.projections.newer_versions import refuse_overtaken
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.shared_decoding import SharedDecoder
from send2llm.infrastructure.projections.shared_names import refuse_shared_names
from send2llm.infrastructure.projections.soundness import checked
from send2llm.projections import Projection
from send2llm.settings import Settings, load_settings

__all__ = ["run"]


def run(*projections: Projection, stop: threading.Event | None = None) -> None:
    """Fold events until ``stop`` is set, or without one until Ctrl-C or SIGTERM; blocks.

    The database and the keys of texts are those of the service: the settings come from the environment and
    ``send2llm.toml``. The next call goes on where this one ended, and any number of processes may run the same
    projection: one works, the others stand by. Raises ``ConfigurationError`` for a projection that cannot be run, that
    has the name of one of Send2LLM's own, or of which only a newer version has tables; and for a database that no
    service has prepared yet. Only the main thread hears signals, so ``stop`` is needed in any other.
    """
    if not projections:
        raise ConfigurationError("There is no projection to run; name at least one: run(MyProjection()).")
    if stop is None and threading.current_thread() is not threading.main_thread():
        raise ConfigurationError(
            "Only the main thread hears Ctrl-C and SIGTERM; say what ends this one: run(..., stop=threading.Event())."
        )
    sound = [checked(projection, type(projection).__name__) for projection in projections]
    refuse_shared_names(sound, built_in_projections())
    settings = load_settings()
    with _database(settings) as database, _until_told(stop) as end:
        refuse_old_schema(database)
        refuse_overtaken(database, sound)
        Projector(database, sound, SharedDecoder(event_codec(settings))).run(end)


@contextmanager
def _database(settings: Settings) -> Iterator[ConnectionInfo]:
    if settings.database_url is not None:
        yield ConnectionInfo.parse(settings.database_url.get_secret_value())
        return
    with EmbeddedPostgres(settings.data_dir) as postgres:
        yield postgres.connection_info


@contextmanager
def _until_told(stop: threading.Event | None) -> Iterator[threading.Event]:
    """The event that ends the work; without one of the caller's, signals of the process set it."""
    if stop is not None:
        yield stop
        return
    told = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: told.set()) for number in signals]
    try:
        yield told
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
