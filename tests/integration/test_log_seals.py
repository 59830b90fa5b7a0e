"""Seals on a real log: made as it grows, by one of several processes, and verified against what was done to it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine

from send2llm.infrastructure.log_seals.queries import PostgresSeals
from send2llm.infrastructure.log_seals.raw_events import PAGE
from send2llm.infrastructure.log_seals.sealer import BLOCK, LogSealer
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.testing.event_writer import EventWriter, said
from send2llm.testing.eventually import eventually

KEY = SealingKey.generate()


@pytest.fixture
def say(writer: EventWriter) -> Callable[[int], None]:
    def store(count: int) -> None:
        writer.store([row for n in range(count) for row in writer.prepare(uuid4(), said(f"word {n}"))])

    return store


@contextmanager
def sealing(database: ConnectionInfo, *keys: SealingKey) -> Iterator[None]:
    stop = threading.Event()
    sealers = [LogSealer(database, key, seal_every=0.02) for key in keys or (KEY,)]
    threads = [threading.Thread(target=sealer.run, args=(stop,)) for sealer in sealers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def sealed(database: ConnectionInfo) -> int:
    with psycopg.connect(database.dsn) as connection:
        row = connection.execute("SELECT coalesce(sum(events), 0)::int FROM log_seals").fetchone()
    return row[0] if row else 0


async def test_a_log_is_sealed_as_it_grows(migrated: ConnectionInfo, say: Callable[[int], None]) -> None:
    say(BLOCK + 10)
    with sealing(migrated):
        eventually(lambda: sealed(migrated) == BLOCK + 10)
        say(5)
        eventually(lambda: sealed(migrated) == BLOCK + 15)
    say(3)

    found = await PostgresSeals(migrated).verify(trusted=[KEY.public])

    assert (found.fault, found.events, found.unsealed) == ("", BLOCK + 15, 3)
    assert found.seals >= 3


async def test_the_time_zone_of_the_database_is_nothing_to_the_seals(
    migrated: ConnectionInfo, say: Callable[[int], None]
) -> None:
    def tell_times_in(zone: str) -> None:
        with psycopg.connect(migrated.dsn, autocommit=True) as connection:
            database = sql.Identifier(migrated.dbname)
            connection.execute(sql.SQL("ALTER DATABASE {} SET timezone = {}").format(database, zone))

    kept = []
    for count, zone in enumerate(("Europe/Berlin", "Asia/Kathmandu"), 1):
        tell_times_in(zone)
        say(5)
        with sealing(migrated):
            eventually(lambda wanted=5 * count: sealed(migrated) == wanted)
        kept += (await PostgresSeals(migrated).seals(0, 1)).seals
        found = await PostgresSeals(migrated).verify(trusted=[KEY.public], kept=kept)
        assert (found.fault, found.events) == ("", 5 * count)


async def test_an_event_that_commits_late_is_sealed_in_its_place(migrated: ConnectionInfo) -> None:
    """Sealed without it, the log would seem to be forged once it is there."""

    def write() -> None:
        with EventWriter(migrated) as writer:
            for number in range(15):
                writer.write(uuid4(), said(f"word {number}"))

    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("""
            CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END';
            CREATE TRIGGER dawdle AFTER INSERT ON stored_events FOR EACH STATEMENT EXECUTE FUNCTION dawdle();
        """)
    writers = [threading.Thread(target=write) for _ in range(4)]
    with sealing(migrated):
        for writer in writers:
            writer.start()
        eventually(lambda: sealed(migrated) == 60, 60)
        for writer in writers:
            writer.join()

    found = await PostgresSeals(migrated).verify(trusted=[KEY.public])

    assert (found.fault, found.events, found.unsealed) == ("", 60, 0)


async def test_several_sealers_make_one_chain(migrated: ConnectionInfo, say: Callable[[int], None]) -> None:
    other = SealingKey.generate()
    with sealing(migrated, KEY, other):
        for _ in range(10):
            say(20)
        eventually(lambda: sealed(migrated) == 200)

    found = await PostgresSeals(migrated).verify(trusted=[KEY.public, other.public])

    assert (found.fault, found.events) == ("", 200)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE stored_events SET state = '{}' WHERE notification_id = 17",
        "DELETE FROM stored_events WHERE notification_id = 16",
        "UPDATE stored_events SET topic = 'conversation.closed' WHERE notification_id = 17",
    ],
)
async def test_whoever_has_all_rights_cannot_change_it_unseen(
    migrated: ConnectionInfo, say: Callable[[int], None], tampering: str
) -> None:
    say(30)
    with sealing(migrated):
        eventually(lambda: sealed(migrated) == 30)
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE stored_events DISABLE TRIGGER ALL")
        connection.execute(tampering.encode())

    found = await PostgresSeals(migrated).verify()

    assert (found.fault, found.position) == ("An event was changed, inserted or removed.", 17)


INSERT = (
    "INSERT INTO stored_events (originator_id, originator_version, topic, state, notification_id)"
    " VALUES ('forged', 1, 'conversation.message_added', '{}', %s)"
)


WITHOUT_THE_REFUSAL = "ALTER TABLE stored_events DROP CONSTRAINT stored_events_first_place"


@pytest.mark.parametrize(
    ("position", "preparation", "is_sealed"),
    [
        (17, "DELETE FROM stored_events WHERE notification_id = 17", True),
        (0, WITHOUT_THE_REFUSAL, True),
        (-5, WITHOUT_THE_REFUSAL, True),
        (-(2**63), WITHOUT_THE_REFUSAL, True),
        (-5, WITHOUT_THE_REFUSAL, False),
    ],
)
async def test_an_inserted_event_is_found_wherever_it_is(
    migrated: ConnectionInfo, say: Callable[[int], None], position: int, preparation: str, is_sealed: bool
) -> None:
    say(30)
    if is_sealed:
        with sealing(migrated):
            eventually(lambda: sealed(migrated) == 30)
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE stored_events DISABLE TRIGGER ALL")
        connection.execute(preparation.encode())
        connection.execute(INSERT, (position,))

    found = await PostgresSeals(migrated).verify()

    assert found.fault
    assert found.position == position


async def test_an_event_that_stands_twice_at_a_position_is_found(
    migrated: ConnectionInfo, say: Callable[[int], None]
) -> None:
    """A table that inherits is read along, and keeps no index of its parent's."""
    say(30)
    with sealing(migrated):
        eventually(lambda: sealed(migrated) == 30)
    say(PAGE)
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE more_events () INHERITS (stored_events)")
        connection.execute(INSERT.replace("stored_events", "more_events"), (PAGE,))

    found = await PostgresSeals(migrated).verify()

    assert ("position" in found.fault, found.position) == (True, PAGE)


async def test_an_event_with_no_bytes_is_one_that_was_changed(
    migrated: ConnectionInfo, say: Callable[[int], None]
) -> None:
    say(30)
    with sealing(migrated):
        eventually(lambda: sealed(migrated) == 30)
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE stored_events DISABLE TRIGGER ALL")
        connection.execute("UPDATE stored_events SET topic = NULL, state = NULL WHERE notification_id = 17")

    found = await PostgresSeals(migrated).verify()

    assert (found.fault, found.position) == ("An event was changed, inserted or removed.", 17)


async def test_seals_cannot_be_changed_by_mistake(migrated: ConnectionInfo, say: Callable[[int], None]) -> None:
    say(1)
    with sealing(migrated):
        eventually(lambda: sealed(migrated) == 1)
    with psycopg.connect(migrated.dsn) as connection:
        for statement in ("UPDATE log_seals SET number = 2", "DELETE FROM log_seals", "TRUNCATE log_seals"):
            with pytest.raises(psycopg.errors.RestrictViolation), connection.transaction():
                connection.execute(statement.encode())


def test_a_broken_connection_does_not_stop_it(migrated: ConnectionInfo, say: Callable[[int], None]) -> None:
    engine = create_engine(migrated.sqlalchemy_url)
    with sealing(migrated):
        say(3)
        eventually(lambda: sealed(migrated) == 3)
        with psycopg.connect(migrated.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'send2llm log sealer' AND datname = current_database()"
            )
        say(2)
        eventually(lambda: sealed(migrated) == 5)
    engine.dispose()
