"""A report of one's own: answers and their cost for each model, over all history and from now on.

Run it beside the service: ``python examples/my_projection.py``. It stops with Ctrl-C, and goes on where it was the
next time.
"""

import os
import signal
import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Connection, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import insert

from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres
from send2llm.infrastructure.projections.projector import Projector
from send2llm.projections import RecordedEvent, table_name


class AnswersByModel:
    """How many answers each model gave, and what they cost in US dollars."""

    name = "answers_by_model"
    version = 1
    topics = frozenset({"conversation.completion_received"})
    tables = MetaData()
    models = Table(
        table_name(name, version, "models"),
        tables,
        Column("model", Text, primary_key=True),
        Column("answers", BigInteger, nullable=False),
        Column("cost_usd", Numeric, nullable=False),
    )

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        """Add what came to what is there; the runner commits it together with the position."""
        answers: defaultdict[str, int] = defaultdict(int)
        costs: defaultdict[str, Decimal] = defaultdict(Decimal)
        for recorded in events:
            answers[recorded.event.model] += 1
            costs[recorded.event.model] += recorded.event.cost_usd or 0
        new = insert(self.models).values(
            [{"model": model, "answers": answers[model], "cost_usd": costs[model]} for model in sorted(answers)]
        )
        added = {name: self.models.c[name] + new.excluded[name] for name in ("answers", "cost_usd")}
        connection.execute(new.on_conflict_do_update(index_elements=["model"], set_=added))


def main() -> None:
    """Fold until Ctrl-C, in the database of ``SEND2LLM_DATABASE_URL`` or else the service's own."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    url = os.environ.get("SEND2LLM_DATABASE_URL")
    server = None if url else EmbeddedPostgres()
    with server or nullcontext():
        database = server.connection_info if server else ConnectionInfo.parse(url or "")
        print(f"Folding into {AnswersByModel.models.name}; stop with Ctrl-C.")
        Projector(database, [AnswersByModel()], EventCodec(EventRegistry.default())).run(stop)


if __name__ == "__main__":
    main()
