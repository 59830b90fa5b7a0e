"""A projection that a script runs has the service's own database and keys."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import Connection, MetaData
from stage import Stage
from tally_projection import Tally

from send2llm import projector
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.projections import RecordedEvent
from send2llm.testing.event_writer import EventWriter, said
from send2llm.testing.eventually import eventually

KEY = "7" * 64


@pytest.fixture
def settings_of_the_service(
    migrated: ConnectionInfo, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("SEND2LLM_DATABASE_URL", migrated.dsn)
    monkeypatch.setenv("SEND2LLM_ENCRYPTION__KEY", KEY)


@pytest.fixture
def encrypted(migrated: ConnectionInfo) -> Iterator[EventWriter]:
    with EventWriter(migrated, TextKeys.parse(KEY, "the test")) as writer:
        yield writer


@pytest.mark.usefixtures("settings_of_the_service")
def test_it_folds_what_was_said_until_it_is_told_to_stop_and_goes_on_later(
    stage: Stage, encrypted: EventWriter
) -> None:
    for words in (["before"] * 3, ["later"] * 2):
        for word in words:
            encrypted.write(uuid4(), said(word))
        stop = threading.Event()
        thread = threading.Thread(target=projector.run, args=(Tally(),), kwargs={"stop": stop})
        thread.start()
        try:
            eventually(stage.caught_up)
        finally:
            stop.set()
            thread.join()
    assert stage.rows("SELECT text, count FROM tally_counts ORDER BY text") == [("before", 3), ("later", 2)]


@pytest.mark.usefixtures("settings_of_the_service")
def test_one_with_a_slip_in_it_is_not_run() -> None:
    class Misspelt(Tally):
        topics = frozenset({"conversation.message_aded"})

    with pytest.raises(ConfigurationError, match=r"Did you mean conversation\.message_added"):
        projector.run(Misspelt())


@pytest.mark.usefixtures("settings_of_the_service")
def test_one_of_send2llms_own_is_not_replaced() -> None:
    class History(Tally):
        name = "history"
        version = 7
        tables = MetaData()

    with pytest.raises(ConfigurationError, match="history is a projection of Send2LLM's own"):
        projector.run(History())


@pytest.mark.usefixtures("settings_of_the_service")
def test_a_version_that_was_overtaken_is_not_run_in_silence(stage: Stage) -> None:
    class Third(Tally):
        version = 3
        tables = MetaData()

        def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
            """It has no tables."""

    with stage.project(Third()):
        eventually(lambda: stage.position(build="3.1") is not None)

    with pytest.raises(ConfigurationError, match="there is a version 3 of it, and none of 1"):
        projector.run(Tally())
    with pytest.raises(ConfigurationError, match="Two projections are called tally, version 1"):
        projector.run(Tally(), Tally())


@pytest.mark.usefixtures("settings_of_the_service")
def test_an_older_version_is_run_for_as_long_as_it_has_a_build(stage: Stage) -> None:
    with stage.project(Tally()):
        eventually(lambda: stage.position() is not None)
    stage.execute("UPDATE projection_checkpoints SET role = 'retired'")
    stage.execute(
        "INSERT INTO projection_checkpoints (name, version, position, rate, updated_at)"
        " VALUES ('tally', 2, 0, 0, now())"
    )
    stop = threading.Event()
    stop.set()

    projector.run(Tally(), stop=stop)


@pytest.mark.usefixtures("settings_of_the_service")
def test_nothing_to_run_and_nothing_that_ends_it_are_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no projection to run"):
        projector.run()
    with ThreadPoolExecutor(1) as another_thread, pytest.raises(ConfigurationError, match="Only the main thread hears"):
        another_thread.submit(projector.run, Tally()).result()


def test_a_database_that_no_service_has_prepared_is_refused(
    database: ConnectionInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEND2LLM_DATABASE_URL", database.dsn)
    with pytest.raises(ConfigurationError, match="send2llm migrate"):
        projector.run(Tally(), stop=threading.Event())
