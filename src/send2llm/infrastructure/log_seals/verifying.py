"""Verifies the log in a process of its own: millions of hashes in this one would hold up every call that it answers.

The process (``python -m`` of this module) is told as JSON what to do, tells in lines of JSON how far it is and what it
found, and lets everything else on the machine go first. It ends when it is killed, and when nobody listens any more.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from send2llm.application.log_verification import LogVerification, Progress, verify_log
from send2llm.domain.errors import StoreUnavailable, VerificationInProgress
from send2llm.domain.log_seals import Seal
from send2llm.infrastructure.analysis.stored_states import occurred_at
from send2llm.infrastructure.log_seals.documents import read_seal, write_seal
from send2llm.infrastructure.log_seals.raw_events import all_raw_events
from send2llm.infrastructure.log_seals.signing import is_signed
from send2llm.infrastructure.log_seals.tables import all_seals
from send2llm.infrastructure.postgres.advisory_locks import advisory_key
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo

_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_TRY = text("SELECT pg_try_advisory_xact_lock(:key)")
LOCK = advisory_key("log verification", "")

_NICE = 10
_TELL_EVERY = 0.1
"""Seconds."""
_LONGEST_LINE = 2**26
"""Bytes: a log may have been sealed with very many keys."""


def verify_stored(
    database: ConnectionInfo, trusted: Collection[bytes], kept: Sequence[Seal], progress: Progress
) -> LogVerification:
    """``verify_log`` on a database, in one transaction. Blocks.

    Raises ``VerificationInProgress`` while another session does so, and ``StoreUnavailable``.
    """
    engine = create_engine(database.sqlalchemy_url, poolclass=NullPool, hide_parameters=True)
    try:
        with engine.begin() as connection:
            connection.execute(_ONE_MOMENT)
            if not connection.execute(_TRY, {"key": LOCK}).scalar_one():
                raise VerificationInProgress
            seals = all_seals(connection)
            return verify_log(
                all_raw_events(connection),
                seals,
                is_signed,
                trusted=trusted,
                kept=kept,
                time_of=occurred_at,
                now=datetime.now(UTC),
                progress=progress,
            )
    except OperationalError:
        raise StoreUnavailable("The database cannot be reached, so the log cannot be verified.") from None
    finally:
        engine.dispose()


async def verify_apart(
    database: ConnectionInfo, trusted: Collection[bytes], kept: Sequence[Seal], progress: Progress
) -> LogVerification:
    """``verify_stored`` in a process, which ends with the task that waits for it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE, start_new_session=True
    )
    there = cast("asyncio.StreamWriter", process.stdin)
    try:
        there.write(_task(database, trusted, kept))
        there.close()
        async for line in cast("asyncio.StreamReader", process.stdout):
            match orjson.loads(line):
                case {"progress": [done, total]}:
                    progress(done, total)
                case {"found": found}:
                    return LogVerification(**found)
                case {"error": code, "message": message}:
                    raise _error(code, message)
        raise RuntimeError(f"the process that verifies the log ended with {await process.wait()}")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _task(database: ConnectionInfo, trusted: Collection[bytes], kept: Sequence[Seal]) -> bytes:
    return orjson.dumps(
        {
            "database": database.dsn,
            "trusted": [key.hex() for key in trusted],
            "kept": [write_seal(seal) for seal in kept],
        }
    )


def _error(code: str, message: str) -> Exception:
    return VerificationInProgress() if code == VerificationInProgress.code else StoreUnavailable(message)


def main() -> None:
    """What ``verify_apart`` starts."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever asked is gone
    os.nice(_NICE)
    task = orjson.loads(sys.stdin.buffer.read())
    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_EVERY:
            told = time.monotonic()
            _tell({"progress": [done, total]})

    try:
        found = verify_stored(
            ConnectionInfo.parse(task["database"]),
            [bytes.fromhex(key) for key in task["trusted"]],
            [read_seal(one) for one in task["kept"]],
            progress,
        )
    except (StoreUnavailable, VerificationInProgress) as error:
        _tell({"error": error.code, "message": str(error)})
    else:
        _tell({"found": asdict(found)})


def _tell(word: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(word) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
