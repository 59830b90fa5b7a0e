"""The doctor at a real database."""

from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.interfaces.cli.checks import Finding
from send2llm.interfaces.cli.checks.database import check_database
from send2llm.settings import Settings


def examine(database: ConnectionInfo) -> dict[str, Finding]:
    settings = Settings().model_copy(update={"database_url": SecretStr(database.dsn)})
    return {finding.name: finding for finding in check_database(settings, Path("/nonexistent"))}


@pytest.fixture
def migrated(database: ConnectionInfo) -> ConnectionInfo:
    migrate(database)
    return database


def test_an_empty_database_needs_migrations(database: ConnectionInfo):
    found = examine(database)
    assert found["database"].verdict == "ok"
    assert found["schema"].verdict == "fail"
    assert found["schema"].remedy == "Run: send2llm migrate"
    assert found["append-only"].verdict == "fail"


def test_a_migrated_database_is_in_order(migrated: ConnectionInfo):
    found = examine(migrated)
    assert [found[name].verdict for name in ("database", "schema", "append-only", "locks")] == ["ok"] * 4


def test_a_server_that_is_not_durable(migrated: ConnectionInfo):
    assert examine(migrated)["fsync"].verdict == "warn"  # the tests' own server trades durability for speed


def test_a_role_with_few_rights(migrated: ConnectionInfo, poor_role: ConnectionInfo):
    assert examine(migrated)["database rights"].verdict == "ok"
    found = examine(poor_role)["database rights"]
    assert (found.verdict, poor_role.user in found.found) == ("warn", True)
    for statement in found.remedy.removeprefix("Let the database's owner run: ").split("; "):
        with psycopg.connect(migrated.dsn, autocommit=True) as owner:
            owner.execute(statement.encode())
    assert examine(poor_role)["database rights"].verdict == "ok"


def test_a_disabled_trigger(migrated: ConnectionInfo):
    with psycopg.connect(migrated.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE stored_events DISABLE TRIGGER stored_events_append_only")
    found = examine(migrated)["append-only"]
    assert found.verdict == "fail"
    assert "ENABLE TRIGGER stored_events_append_only" in found.remedy


def test_somebody_holds_on_to_the_events(migrated: ConnectionInfo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("send2llm.interfaces.cli.checks.database.LONG_TRANSACTION_SECONDS", 0)
    with psycopg.connect(migrated.dsn) as connection:
        connection.execute("SELECT FROM stored_events")
        assert examine(migrated)["locks"].verdict == "warn"
