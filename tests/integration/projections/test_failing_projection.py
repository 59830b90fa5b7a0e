"""A projection that fails stops alone, at the event that is at fault, and says so."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from onlooker import QUICK, Onlooker, Project
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Column, Connection, MetaData, Table, Text, text
from sqlalchemy.exc import DataError
from tally_projection import MESSAGES, Tally

from send2llm.application.projections import BuildName, ProjectionStatus
from send2llm.domain.errors import ProjectionConflict, ProjectionNotFound
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.control import PostgresProjectionBuilds
from send2llm.infrastructure.projections.status import PostgresProjections
from send2llm.projections import RecordedEvent, copy_rows
from send2llm.testing.event_writer import EventWriter, said
from send2llm.testing.eventually import eventually, eventually_async


class Fussy:
    """Keeps what was said, and cannot stand poison until it is cured."""

    name = "fussy"
    version = 1
    topics = frozenset({MESSAGES})
    tables = MetaData()
    words = Table("fussy_v1_words", tables, Column("word", Text, nullable=False))

    def __init__(self, complaint: Callable[[Connection], object]) -> None:
        self.complaint: Callable[[Connection], object] | None = complaint

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        copy_rows(connection, self.words, [{"word": recorded.event.message.text} for recorded in events])
        if self.complaint and any(recorded.event.message.text == "poison" for recorded in events):
            self.complaint(connection)


def raise_value_error(_: Connection) -> None:
    raise ValueError("cannot stand it")


def open_what_is_not_there(_: Connection) -> None:
    Path("/no/such/rates.csv").read_text(encoding="utf-8")


def call_a_server_that_is_down(_: Connection) -> None:
    raise ConnectionRefusedError("no exchange rates today")


def ask_a_database_that_is_down(_: Connection) -> None:
    raise psycopg.OperationalError("connection to server failed")


def leave_the_program(_: Connection) -> None:
    raise SystemExit(3)


def ask_a_sequence_too_early(connection: Connection) -> None:
    connection.execute(text("CREATE TEMPORARY SEQUENCE numbers"))
    connection.execute(text("SELECT currval('numbers')"))


def take_too_long(connection: Connection) -> None:
    connection.execute(text("SET LOCAL statement_timeout = 1"))
    connection.execute(text("SELECT pg_sleep(60)"))


def be_chosen_in_a_deadlock(connection: Connection) -> None:
    connection.execute(text("DO $$ BEGIN RAISE 'it is your turn' USING ERRCODE = '40P01'; END $$"))


def break_a_statement(connection: Connection) -> None:
    connection.execute(text("SELECT 1 / 0, :secret"), {"secret": "what somebody said"})


class Untold(Exception):
    def __str__(self) -> str:
        raise KeyError("no words")


def raise_what_cannot_be_told(_: Connection) -> None:
    raise Untold


ENDED = (
    "FoldEndedTransaction: a fold must not commit, roll back or close its connection; "
    "what it wrote is committed with the position."
)

REFUSED_BY_THE_DRIVER = (
    "ProgrammingError: Explicit commit() forbidden within a Transaction context. "
    "(Transaction will be automatically committed on successful exit from context.)"
)


def commit(connection: Connection) -> None:
    connection.commit()


def roll_back(connection: Connection) -> None:
    connection.rollback()


def commit_and_never_mind(connection: Connection) -> None:
    with suppress(Exception):
        connection.commit()


def commit_by_a_statement(connection: Connection) -> None:
    connection.exec_driver_sql("\n commit and chain")


def roll_back_by_a_statement(connection: Connection) -> None:
    connection.execute(text("ROLLBACK WORK"))


def commit_by_the_driver(connection: Connection) -> None:
    connection.connection.commit()


def close(connection: Connection) -> None:
    connection.close()


@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        (raise_value_error, "ValueError: cannot stand it"),
        (break_a_statement, "DivisionByZero: division by zero"),
        (open_what_is_not_there, "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/rates.csv'"),
        (call_a_server_that_is_down, "ConnectionRefusedError: no exchange rates today"),
        (ask_a_database_that_is_down, "OperationalError: connection to server failed"),
        (leave_the_program, "SystemExit: 3"),
        (
            ask_a_sequence_too_early,
            'ObjectNotInPrerequisiteState: currval of sequence "numbers" is not yet defined in this session',
        ),
        (take_too_long, "QueryCanceled: canceling statement due to statement timeout"),
        (raise_what_cannot_be_told, "Untold: it cannot be told (KeyError)"),
        (commit, ENDED),
        (roll_back, ENDED),
        (commit_and_never_mind, ENDED),
        (commit_by_a_statement, ENDED),
        (roll_back_by_a_statement, ENDED),
        (commit_by_the_driver, REFUSED_BY_THE_DRIVER),
        (close, ENDED),
    ],
)
async def test_it_stops_before_the_event_and_goes_on_when_told(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    pool: AsyncConnectionPool,
    codec: EventCodec,
    migrated: ConnectionInfo,
    complaint: Callable[[Connection], object],
    reason: str,
) -> None:
    fussy = Fussy(complaint)
    words = [f"word {number}" for number in range(30)]
    words[16] = "poison"
    statuses = PostgresProjections(pool, codec)
    builds = PostgresProjectionBuilds(migrated, statuses)
    with project(fussy, Tally()):
        say(*words)
        eventually(onlooker.caught_up)
        eventually(lambda: onlooker.value("SELECT reason FROM projection_checkpoints WHERE name = 'fussy'"))
        status = _named("fussy", await statuses.all())
        assert (status.state, status.reason, status.failed_position) == ("failed", reason, 17)
        assert (status.position, status.head) == (16, 30)
        assert _named("tally", await statuses.all()).state == "running"
        assert _kept(onlooker) == words[:16]

        with pytest.raises(ProjectionConflict, match="No build of tally has failed"):
            await builds.retry("tally")
        fussy.complaint = None
        await builds.retry("fussy")
        eventually(lambda: onlooker.caught_up("fussy"))
        status = _named("fussy", await statuses.all())
        assert (status.state, status.reason, status.failed_position) == ("running", None, None)
    assert _kept(onlooker) == words
    onlooker.assert_tally_is_exact()


def test_what_should_pass_by_itself_and_does_not_is_told_and_goes_on_by_itself_when_it_can(
    project: Project, say: Callable[..., None], onlooker: Onlooker
) -> None:
    fussy = Fussy(be_chosen_in_a_deadlock)
    told = "SELECT reason, failed_position FROM projection_checkpoints WHERE reason IS NOT NULL"
    with project(fussy):
        say("fine", "poison", "fine too")
        eventually(lambda: onlooker.rows(told))
        ((reason, position),) = onlooker.rows(told)
        assert reason.startswith("DeadlockDetected: it is your turn (tried ")
        assert position is None
        fussy.complaint = None
        eventually(lambda: onlooker.caught_up("fussy") and not onlooker.rows(told))
    assert _kept(onlooker) == ["fine", "poison", "fine too"]


def test_a_fold_may_go_back_to_a_savepoint(project: Project, say: Callable[..., None], onlooker: Onlooker) -> None:
    def try_something(connection: Connection) -> None:
        with suppress(DataError), connection.begin_nested():
            connection.execute(text("SELECT 1 / 0"))
        connection.execute(text("SAVEPOINT mine"))
        connection.execute(text("ROLLBACK TRANSACTION TO mine"))

    with project(Fussy(try_something)):
        say("fine", "poison", "fine too")
        eventually(lambda: onlooker.caught_up("fussy"))
    assert _kept(onlooker) == ["fine", "poison", "fine too"]


def test_a_commit_that_nobody_could_refuse_stops_it_too(
    project: Project, say: Callable[..., None], onlooker: Onlooker
) -> None:
    def commit_behind_the_back(connection: Connection) -> None:
        connection.connection.cursor().execute("COMMIT")

    with project(Fussy(commit_behind_the_back)):
        say("poison")
        eventually(lambda: onlooker.value("SELECT reason FROM projection_checkpoints") == ENDED)
        assert onlooker.position("fussy") == 0


def test_a_reason_that_postgresql_cannot_hold_is_told_all_the_same(
    project: Project, say: Callable[..., None], onlooker: Onlooker
) -> None:
    def complain(_: Connection) -> None:
        raise ValueError("\x00 is no price")

    with project(Fussy(complain)):
        say("poison")
        eventually(
            lambda: onlooker.value("SELECT reason FROM projection_checkpoints") == "ValueError: \ufffd is no price"
        )


def test_a_new_start_tries_again(project: Project, say: Callable[..., None], onlooker: Onlooker) -> None:
    failure = "SELECT failed_position FROM projection_checkpoints WHERE name = 'fussy'"
    with project(Fussy(raise_value_error)):
        say("fine", "poison", "fine too")
        eventually(lambda: onlooker.value(failure) == 2)
    cured = Fussy(raise_value_error)
    cured.complaint = None
    with project(cured):
        eventually(lambda: onlooker.caught_up("fussy"))
    assert onlooker.value(failure) is None


def test_an_event_that_cannot_be_read_stops_it_too(
    project: Project, say: Callable[..., None], writer: EventWriter, onlooker: Onlooker
) -> None:
    say(*["fine"] * 4)
    (row,) = writer.prepare(uuid4(), said("garbled"))
    writer.store([type(row)(row.originator_id, row.originator_version, row.topic, b"{")])
    say("fine")
    with project(Tally()):
        eventually(lambda: onlooker.value("SELECT failed_position FROM projection_checkpoints") == 5)
        assert onlooker.position() == 4


async def test_an_event_can_be_left_out_on_purpose_and_that_is_recorded(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    pool: AsyncConnectionPool,
    codec: EventCodec,
    migrated: ConnectionInfo,
    writer: EventWriter,
) -> None:
    statuses = PostgresProjections(pool, codec)
    builds = PostgresProjectionBuilds(migrated, statuses)
    say("fine")
    (row,) = writer.prepare(uuid4(), said("garbled"))
    writer.store([type(row)(row.originator_id, row.originator_version, row.topic, b"{")])
    say("fine")
    with project(Tally()):
        eventually(lambda: onlooker.value("SELECT failed_position FROM projection_checkpoints") == 2)
        with pytest.raises(ProjectionConflict, match="failed at position 2, not at 1"):
            await builds.skip("tally", 1, "ops")
        with pytest.raises(ProjectionNotFound):
            await builds.skip("nothing", 1, "ops")
        await builds.skip("tally", 2, "ops")
        eventually(onlooker.caught_up)

        assert onlooker.rows("SELECT name, version, position, actor FROM projection_skips") == [("tally", 1, 2, "ops")]
        assert onlooker.value("SELECT count FROM tally_counts WHERE text = 'fine'") == 2
        assert _named("tally", await statuses.all()).skipped == 1
        # A rebuild leaves it out as well.
        await builds.rebuild("tally")
        eventually(lambda: onlooker.value("SELECT role FROM projection_checkpoints WHERE build = 2") == "live")
        assert onlooker.value("SELECT count FROM tally_counts WHERE text = 'fine'") == 2


async def test_what_is_left_out_is_left_out_in_every_build_that_stands_before_it(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    pool: AsyncConnectionPool,
    codec: EventCodec,
    migrated: ConnectionInfo,
) -> None:
    builds = PostgresProjectionBuilds(migrated, PostgresProjections(pool, codec))
    failed = "SELECT count(*) FROM projection_checkpoints WHERE failed_position = 2"
    say("fine", "poison", "fine too")
    with project(Fussy(raise_value_error)):
        eventually(lambda: onlooker.value(failed) == 1)
        await builds.rebuild("fussy")
        eventually(lambda: onlooker.value(failed) == 2)
        # Another try of both, which does not help.
        await builds.retry("fussy")
        eventually(lambda: onlooker.value(failed) == 2)

        await builds.skip("fussy", 2, "ops")

        eventually(lambda: onlooker.value("SELECT role FROM projection_checkpoints WHERE build = 2") == "live")
        assert onlooker.value("SELECT count(*) FROM projection_skips") == 1
        assert onlooker.value(failed) == 0


async def test_what_is_left_out_meanwhile_is_left_out_by_a_build_that_was_begun_before(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    pool: AsyncConnectionPool,
    codec: EventCodec,
    migrated: ConnectionInfo,
) -> None:
    builds = PostgresProjectionBuilds(migrated, PostgresProjections(pool, codec))
    is_held, go_on = threading.Event(), threading.Event()

    def complain(connection: Connection) -> None:
        if "build_fussy" in connection.execute(text("SHOW search_path")).scalar_one():
            is_held.set()
            assert go_on.wait(20)
        raise_value_error(connection)

    failed = "SELECT failed_position FROM projection_checkpoints WHERE build = %s"
    say("fine", "poison", "fine too")
    with project(Fussy(complain), timing=replace(QUICK, page_size=1)):
        eventually(lambda: onlooker.value(failed, 1) == 2)
        await builds.rebuild("fussy")
        assert is_held.wait(20)
        skipping = asyncio.create_task(builds.skip("fussy", 2, "ops"))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await eventually_async(lambda: _is_one(onlooker, waiting))
        go_on.set()
        await skipping

        eventually(lambda: onlooker.value("SELECT role FROM projection_checkpoints WHERE build = 2") == "live")
        eventually(lambda: onlooker.caught_up("fussy"))
        assert onlooker.value("SELECT count(*) FROM projection_checkpoints WHERE reason IS NOT NULL") == 0


async def test_a_build_that_stands_before_an_event_leaves_it_out_too(
    project: Project,
    say: Callable[..., None],
    onlooker: Onlooker,
    pool: AsyncConnectionPool,
    codec: EventCodec,
    migrated: ConnectionInfo,
) -> None:
    """It was begun, and knew what is left out, before somebody decided that."""
    builds = PostgresProjectionBuilds(migrated, PostgresProjections(pool, codec))
    say("fine", "poison", "fine too")
    with project(Fussy(raise_value_error)):
        eventually(lambda: onlooker.value("SELECT failed_position FROM projection_checkpoints") == 2)
        await builds.rebuild("fussy")
        await builds.pause("fussy", BuildName(1, 2))
        eventually(lambda: len(onlooker.backends("send2llm projection fussy")) == 2)
        await builds.skip("fussy", 2, "ops")
        await builds.resume("fussy", BuildName(1, 2))

        eventually(lambda: onlooker.value("SELECT role FROM projection_checkpoints WHERE build = 2") == "live")


async def _is_one(onlooker: Onlooker, question: str) -> bool:
    return onlooker.value(question) == 1


def test_tables_that_cannot_be_made_stop_it_too(project: Project, onlooker: Onlooker) -> None:
    class Impossible(Tally):
        name = "impossible"
        tables = MetaData(schema="no_such_schema")
        table = Table("impossible_v1", tables, Column("word", Text))

    with project(Impossible()):
        eventually(
            lambda: (
                onlooker.rows("SELECT reason, failed_position FROM projection_checkpoints")
                == [('InvalidSchemaName: schema "no_such_schema" does not exist', None)]
            )
        )


def _named(name: str, statuses: Sequence[ProjectionStatus]) -> ProjectionStatus:
    return next(status for status in statuses if status.name == name)


def _kept(onlooker: Onlooker) -> list[str]:
    return [word for (word,) in onlooker.rows("SELECT word FROM fussy_v1_words")]
