"""A process that appends until it is killed, and prints the stream of each append once it is acknowledged."""

import asyncio
import sys
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresDatastore

from send2llm.infrastructure.event_store.group_commit import Append, GroupCommitRecorder
from send2llm.infrastructure.postgres import ConnectionInfo


async def append_for_ever(recorder: GroupCommitRecorder) -> None:
    while True:
        stream = str(uuid4())
        await recorder.append(Append([StoredEvent(stream, version, "t", uuid4().bytes) for version in (1, 2, 3)]))
        print(stream, flush=True)  # noqa: T201 - the test reads it


async def main(recorder: GroupCommitRecorder, writers: int) -> None:
    await asyncio.gather(*(append_for_ever(recorder) for _ in range(writers)))


def leave_without_closing(recorder: GroupCommitRecorder, appends: int) -> None:
    for _ in range(appends):
        stream = str(uuid4())
        recorder.submit(Append([StoredEvent(stream, version, "t", uuid4().bytes) for version in (1, 2, 3)]))
        print(stream, flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    info = ConnectionInfo.parse(sys.argv[1])
    recorder = GroupCommitRecorder(
        PostgresDatastore(info.dbname, info.host, info.port, info.user, info.password, originator_id_type="text")
    )
    recorder.create_table()
    if sys.argv[2] == "for-ever":
        asyncio.run(main(recorder, int(sys.argv[3])))
    else:
        leave_without_closing(recorder, int(sys.argv[3]))
