"""Ways in which a fold fails, and folds that end the transaction which is not theirs."""

from contextlib import suppress
from pathlib import Path

import psycopg
from sqlalchemy import Connection, text


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
