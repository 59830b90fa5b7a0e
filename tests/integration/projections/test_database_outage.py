"""The database goes away and comes back; the projections go on where they were."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
from onlooker import Onlooker
from stage import QUICK
from tally_projection import Tally

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.postgres.server_processes import recorded_postmaster, server_processes
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.event_writer import EventWriter, said
from send2llm.testing.eventually import eventually
from send2llm.testing.postgres import TestDatabaseServer

pytestmark = pytest.mark.slow


class OwnServer:
    """A server of the test's own, to be ill-treated."""

    def __init__(self, folder: Path) -> None:
        self._cluster = folder / "postgres"
        self.server = TestDatabaseServer(folder, durable=True)

    def stop_and_start(self) -> None:
        self.server.stop()
        assert not server_processes(self._cluster)
        self.server.start()

    def kill_and_start(self) -> None:
        postmaster = recorded_postmaster(self._cluster)
        assert postmaster is not None
        os.kill(postmaster, signal.SIGKILL)
        self.stop_and_start()


@pytest.fixture
def own() -> Iterator[OwnServer]:
    # Not pytest's temporary folder: for root that is closed to the account which the server runs as.
    with TemporaryDirectory(prefix="send2llm-outage-") as folder:
        Path(folder).chmod(0o755)
        own = OwnServer(Path(folder))
        with own.server:
            yield own


@pytest.mark.parametrize("restart", [OwnServer.stop_and_start, OwnServer.kill_and_start])
def test_it_resumes_where_it_was(own: OwnServer, restart: Callable[[OwnServer], None]) -> None:
    database = own.server.create_database()
    migrate(database)
    with Projector(database, [Tally()], EventCodec(EventRegistry.default()), QUICK).running():
        for number in range(1, 4):
            _store(database, 50)
            with psycopg.connect(database.dsn, autocommit=True) as connection:
                onlooker = Onlooker(connection)
                # Once when it has caught up, then in the middle of its work.
                eventually(onlooker.caught_up if number == 1 else onlooker.position)
            restart(own)
        _store(database, 50)
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            eventually(Onlooker(connection).caught_up)
            # A crash leaves gaps in the positions, so events are counted.
            assert Onlooker(connection).value("SELECT count(*) FROM stored_events") == 200
            Onlooker(connection).assert_tally_is_exact()


def _store(database: ConnectionInfo, count: int) -> None:
    with EventWriter(database) as writer:
        writer.store([row for _ in range(count) for row in writer.prepare(uuid4(), said("word"))])
