"""Hears that events were stored, by PostgreSQL's NOTIFY, on the event loop.

That makes things quick, and is nothing to rely on: whoever waits looks by itself now and then.
"""

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql

from send2llm.infrastructure.postgres.lasting_sessions import LASTING_SESSION

RECONNECT_SECONDS = 1.0
_APPLICATION_NAME = "send2llm feed"

log = structlog.get_logger(__name__)


async def hear_of_arrivals(dsn: str, channel: str, arrived: Callable[[], None]) -> None:
    """Call ``arrived`` after each commit of events, until cancelled; a connection that is lost is made again."""
    listen = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                dsn,
                autocommit=True,
                application_name=_APPLICATION_NAME,
                **LASTING_SESSION,  # type: ignore[arg-type] # libpq's own parameters, beside psycopg's
            ) as connection:
                await connection.execute(listen)
                arrived()  # what was stored before the LISTEN was not heard
                async for _ in connection.notifies():
                    arrived()
        except psycopg.OperationalError as error:
            log.warning("feed.listener_lost", error=type(error).__name__)
        await asyncio.sleep(RECONNECT_SECONDS)
