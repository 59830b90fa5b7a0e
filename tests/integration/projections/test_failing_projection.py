"""A projection that fails stops alone, at the event that is at fault, and says so."""

from collections.abc import Callable
from contextlib import suppress

import complaints
import pytest
from fussy import Fussy, kept
from sqlalchemy import Column, Connection, MetaData, Table, Text, text
from sqlalchemy.exc import DataError
from stage import Builds, Stage
from tally_projection import Tally

from send2llm.domain.errors import ProjectionConflict
from send2llm.testing.eventually import eventually


@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        (complaints.raise_value_error, "ValueError: cannot stand it"),
        (complaints.break_a_statement, "DivisionByZero: division by zero"),
        (
            complaints.open_what_is_not_there,
            "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/rates.csv'",
        ),
        (complaints.call_a_server_that_is_down, "ConnectionRefusedError: no exchange rates today"),
        (complaints.ask_a_database_that_is_down, "OperationalError: connection to server failed"),
        (complaints.leave_the_program, "SystemExit: 3"),
        (
            complaints.ask_a_sequence_too_early,
            'ObjectNotInPrerequisiteState: currval of sequence "numbers" is not yet defined in this session',
        ),
        (complaints.take_too_long, "QueryCanceled: canceling statement due to statement timeout"),
        (complaints.raise_what_cannot_be_told, "Untold: it cannot be told (KeyError)"),
        (complaints.commit, complaints.ENDED),
        (complaints.roll_back, complaints.ENDED),
        (complaints.commit_and_never_mind, complaints.ENDED),
        (complaints.commit_by_a_statement, complaints.ENDED),
        (complaints.roll_back_by_a_statement, complaints.ENDED),
        (complaints.commit_by_the_driver, complaints.REFUSED_BY_THE_DRIVER),
        (complaints.close, complaints.ENDED),
    ],
)
async def test_it_stops_before_the_event_and_goes_on_when_told(
    stage: Stage, builds: Builds, complaint: Callable[[Connection], object], reason: str
) -> None:
    fussy = Fussy(complaint)
    words = [f"word {number}" for number in range(30)]
    words[16] = "poison"
    with stage.project(fussy, Tally()):
        stage.say(*words)
        eventually(stage.caught_up)
        eventually(lambda: stage.checkpoint("reason", of="fussy"))
        status = await builds.status("1.1", of="fussy")
        assert (status.state, status.reason, status.failed_position) == ("failed", reason, 17)
        assert (status.position, status.head) == (16, 30)
        assert (await builds.status("1.1")).state == "running"
        assert kept(stage) == words[:16]

        with pytest.raises(ProjectionConflict, match="No build of tally has failed"):
            await builds.retry("tally")
        fussy.complaint = None
        await builds.retry("fussy")
        eventually(lambda: stage.caught_up("fussy"))
        status = await builds.status("1.1", of="fussy")
        assert (status.state, status.reason, status.failed_position) == ("running", None, None)
    assert kept(stage) == words
    stage.assert_tally_is_exact()


def test_what_should_pass_by_itself_and_does_not_is_told_and_goes_on_by_itself_when_it_can(stage: Stage) -> None:
    fussy = Fussy(complaints.be_chosen_in_a_deadlock)
    told = "SELECT reason, failed_position FROM projection_checkpoints WHERE reason IS NOT NULL"
    with stage.project(fussy):
        stage.say("fine", "poison", "fine too")
        eventually(lambda: stage.rows(told))
        ((reason, position),) = stage.rows(told)
        assert reason.startswith("DeadlockDetected: it is your turn (tried ")
        assert position is None
        fussy.complaint = None
        eventually(lambda: stage.caught_up("fussy") and not stage.rows(told))
    assert kept(stage) == ["fine", "poison", "fine too"]


def test_a_fold_may_go_back_to_a_savepoint(stage: Stage) -> None:
    def try_something(connection: Connection) -> None:
        with suppress(DataError), connection.begin_nested():
            connection.execute(text("SELECT 1 / 0"))
        connection.execute(text("SAVEPOINT mine"))
        connection.execute(text("ROLLBACK TRANSACTION TO mine"))

    with stage.project(Fussy(try_something)):
        stage.say("fine", "poison", "fine too")
        eventually(lambda: stage.caught_up("fussy"))
    assert kept(stage) == ["fine", "poison", "fine too"]


def test_a_commit_that_nobody_could_refuse_stops_it_too(stage: Stage) -> None:
    def commit_behind_the_back(connection: Connection) -> None:
        connection.connection.cursor().execute("COMMIT")

    with stage.project(Fussy(commit_behind_the_back)):
        stage.say("poison")
        eventually(lambda: stage.checkpoint("reason", of="fussy") == complaints.ENDED)
        assert stage.position("fussy") == 0


def test_a_reason_that_postgresql_cannot_hold_is_told_all_the_same(stage: Stage) -> None:
    def complain(_: Connection) -> None:
        raise ValueError("\x00 is no price")

    with stage.project(Fussy(complain)):
        stage.say("poison")
        eventually(lambda: stage.checkpoint("reason", of="fussy") == "ValueError: \ufffd is no price")


def test_a_new_start_tries_again(stage: Stage) -> None:
    with stage.project(Fussy(complaints.raise_value_error)):
        stage.say("fine", "poison", "fine too")
        eventually(lambda: stage.checkpoint("failed_position", of="fussy") == 2)
    with stage.project(Fussy(complaint=None)):
        eventually(lambda: stage.caught_up("fussy"))
    assert stage.checkpoint("failed_position", of="fussy") is None


def test_an_event_that_cannot_be_read_stops_it_too(stage: Stage) -> None:
    stage.say(*["fine"] * 4)
    stage.mumble()
    stage.say("fine")
    with stage.project(Tally()):
        eventually(lambda: stage.checkpoint("failed_position") == 5)
        assert stage.position() == 4


def test_tables_that_cannot_be_made_stop_it_too(stage: Stage) -> None:
    class Impossible(Tally):
        name = "impossible"
        tables = MetaData(schema="no_such_schema")
        table = Table("impossible_v1", tables, Column("word", Text))

    with stage.project(Impossible()):
        eventually(
            lambda: (
                stage.rows("SELECT reason, failed_position FROM projection_checkpoints")
                == [('InvalidSchemaName: schema "no_such_schema" does not exist', None)]
            )
        )
