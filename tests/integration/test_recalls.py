"""Word among processes, over the real database."""

import queue
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from send2llm.infrastructure.postgres import recalls
from send2llm.infrastructure.postgres.recalls import CHANNEL, PostgresRecalls, RecallListener
from send2llm.testing.eventually import eventually

Heard = queue.Queue


@pytest.fixture
def heard(migrated, monkeypatch) -> Iterator["Heard[tuple[UUID, str]]"]:
    monkeypatch.setattr(recalls, "RECONNECT_SECONDS", 0.05)
    words: Heard[tuple[UUID, str]] = Heard()
    listener = RecallListener(migrated.dsn, lambda *word: words.put(word))
    listener.start()
    eventually(lambda: backends(migrated))
    yield words
    listener.stop()


def backends(database) -> list[int]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'send2llm recalls'"
            " AND query LIKE 'LISTEN%' AND datname = current_database()"
        ).fetchall()
    return [pid for (pid,) in rows]


async def test_who_asks_is_heard(heard, pool):
    budget_id = uuid4()
    await PostgresRecalls(pool).ask(budget_id, "2026-11-23T14+01:00")
    assert heard.get(timeout=10) == (budget_id, "2026-11-23T14+01:00")


async def test_nonsense_is_passed_over(heard, pool):
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_notify(%s, 'nonsense')", (CHANNEL,))
    budget_id = uuid4()
    await PostgresRecalls(pool).ask(budget_id, "total")
    assert heard.get(timeout=10) == (budget_id, "total")


async def test_a_lost_connection_is_made_again(heard, pool, migrated):
    (old,) = backends(migrated)
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_terminate_backend(%s)", (old,))
    eventually(lambda: [pid for pid in backends(migrated) if pid != old])
    budget_id = uuid4()
    await PostgresRecalls(pool).ask(budget_id, "total")
    assert heard.get(timeout=10) == (budget_id, "total")
