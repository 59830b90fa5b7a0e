"""A process that runs the tally, and that says and waits in the middle of a batch, rows written, not committed.

Arguments: the DSN, the position whose batch it waits in (0: never), a file that it makes when it waits.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection
from tally_projection import Tally

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.timing import Timing
from send2llm.projections import RecordedEvent


class WaitingTally(Tally):
    def __init__(self, position: int, sign: Path) -> None:
        self._position = position
        self._sign = sign

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        super().fold(events, connection)
        if any(recorded.position == self._position for recorded in events):
            self._sign.touch()
            threading.Event().wait()


dsn, position, sign = sys.argv[1:]
projection = WaitingTally(int(position), Path(sign))
Projector(
    ConnectionInfo.parse(dsn), [projection], EventCodec(EventRegistry.default()), Timing(page_size=7, poll=0.1)
).run(threading.Event())
