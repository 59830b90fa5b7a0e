"""A process that keeps all projections up to date and seals the log, until it is killed.

Arguments: the DSN, a file with the sealing key, a file with the master key of the texts.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.log_seals.sealer import LogSealer
from send2llm.infrastructure.log_seals.signing import SealingKey
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections.projector import Projector
from send2llm.infrastructure.projections.shared_decoding import SharedDecoder
from send2llm.infrastructure.projections.timing import Timing
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.trail import TrailProjection
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.projections import Projection, RecordedEvent, copy_rows, table_name


class Seen:
    """Remembers the position of every event: a second time breaks the primary key, and one passed by is missing."""

    name = "seen"
    version = 1
    reads_texts = False
    topics = frozenset(kind.topic for kind in EventRegistry.default())
    tables = MetaData()
    positions = Table(table_name(name, version, "positions"), tables, Column("position", BigInteger, primary_key=True))

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        copy_rows(connection, self.positions, [{"position": recorded.position} for recorded in events])


PROJECTIONS: Sequence[Projection] = (
    HistoryProjection(),
    CostLedgerProjection(),
    UsageProjection(),
    TrailProjection(),
    Seen(),
)
QUICK = Timing(page_size=200, poll=0.1, linger=0.02, shortest_backoff=0.05, longest_backoff=0.5)


def main() -> None:
    database = ConnectionInfo.parse(sys.argv[1])
    stop = threading.Event()
    sealer = LogSealer(database, SealingKey.of_file(Path(sys.argv[2])), seal_every=0.2)
    threading.Thread(target=sealer.run, args=(stop,), daemon=True).start()
    decoder = SharedDecoder(EventCodec(EventRegistry.default(), TextKeys.of_file(Path(sys.argv[3]))))
    Projector(database, PROJECTIONS, decoder, QUICK).run(stop)


if __name__ == "__main__":
    main()
