"""A report of one's own: answers and their cost for each model, over all history and from now on.

Run it beside the service: ``python examples/my_projection.py``. It stops with Ctrl-C, and goes on where it was the
next time.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Connection, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import insert

from send2llm.projections import RecordedEvent, table_name
from send2llm.projector import run


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


if __name__ == "__main__":
    print("Folding; read it in answers_by_model_models. Stop with Ctrl-C.", flush=True)
    run(AnswersByModel())
