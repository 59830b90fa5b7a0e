"""A projection that a script runs has the service's own database and keys."""

import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
from onlooker import Onlooker
from tally_projection import Tally

from send2llm import projector
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.postgres import ConnectionInfo
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
    encrypted: EventWriter, onlooker: Onlooker
) -> None:
    for words in (["before"] * 3, ["later"] * 2):
        for word in words:
            encrypted.write(uuid4(), said(word))
        stop = threading.Event()
        thread = threading.Thread(target=projector.run, args=(Tally(),), kwargs={"stop": stop})
        thread.start()
        try:
            eventually(onlooker.caught_up)
        finally:
            stop.set()
            thread.join()
    assert onlooker.rows("SELECT text, count FROM tally_counts ORDER BY text") == [("before", 3), ("later", 2)]


@pytest.mark.usefixtures("settings_of_the_service")
def test_one_with_a_slip_in_it_is_not_run() -> None:
    class Misspelt(Tally):
        topics = frozenset({"conversation.message_aded"})

    with pytest.raises(ConfigurationError, match=r"Did you mean conversation\.message_added"):
        projector.run(Misspelt())


def test_a_database_that_no_service_has_prepared_is_refused(
    database: ConnectionInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEND2LLM_DATABASE_URL", database.dsn)
    with pytest.raises(ConfigurationError, match="send2llm migrate"):
        projector.run(Tally(), stop=threading.Event())
