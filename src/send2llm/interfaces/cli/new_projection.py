"""The files that ``send2llm projections new`` writes."""

import keyword
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from send2llm.bootstrap.followers import built_in_projections
from send2llm.infrastructure.projections.soundness import fault_of_name
from send2llm.infrastructure.relay.names import RELAYS
from send2llm.interfaces.cli.errors import CommandFailed

_PROJECTION = '''\
"""{title}: how many answers each model gave, and what they cost."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import BigInteger, Column, Connection, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import insert

from send2llm.projections import RecordedEvent, table_name


class {cls}:
    """Change what it keeps, then raise the version: the new one is built beside the old one and swapped in."""

    name = "{name}"
    version = 1
    topics = frozenset({{"conversation.completion_received"}})
    reads_texts = False
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
        sums: defaultdict[str, list[Decimal | int]] = defaultdict(lambda: [0, Decimal(0)])
        for recorded in events:
            sums[recorded.event.model][0] += 1
            sums[recorded.event.model][1] += recorded.event.cost_usd or 0
        rows = [{{"model": model, "answers": n, "cost_usd": usd}} for model, (n, usd) in sorted(sums.items())]
        new = insert(self.models).values(rows)
        added = {{name: self.models.c[name] + new.excluded[name] for name in ("answers", "cost_usd")}}
        connection.execute(new.on_conflict_do_update(index_elements=["model"], set_=added))
'''

_TEST = '''\
"""Run it with pytest, beside an installed Send2LLM: it brings its own PostgreSQL."""

from decimal import Decimal

from {name} import {cls}
from send2llm.testing.projections import answered, folded


def test_answers_are_counted_and_paid_by_model() -> None:
    with folded({cls}(), answered("a", cost_usd=Decimal("0.5")), answered("b"), answered("a")) as rows:
        assert rows("SELECT model, answers, cost_usd FROM {name}_models ORDER BY model") == [
            ("a", 2, Decimal("0.5")),
            ("b", 1, Decimal(0)),
        ]
'''


def write_projection(name: str, folder: Path) -> Sequence[Path]:
    """Write the projection and its test; raises ``CommandFailed`` for a bad name, or when they exist."""
    cls = name.title().replace("_", "")
    words = {"name": name, "cls": cls, "title": name.replace("_", " ").capitalize()}
    files = {folder / f"{name}.py": _PROJECTION, folder / f"test_{name}.py": _TEST}
    fault = fault_of_name(name) or _fault_of_module(name, cls)
    if fault:
        raise CommandFailed(f"{name!r} is no name for a projection: {fault}")
    for path in files:
        if path.exists():
            raise CommandFailed(f"{path} exists already: choose another name, or another --folder.")
    if find_spec(name) is not None:
        raise CommandFailed(f"{name!r} is a module already, which the file would hide from its test; add a word to it.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        path.write_text(content.format(**words), "utf-8")
    return list(files)


def _fault_of_module(name: str, cls: str) -> str:
    if name.startswith("test_"):
        return "files that begin with test_ are tests, and are passed over."
    if keyword.iskeyword(name) or keyword.iskeyword(cls):
        return "it is a word of Python itself; add another one to it."
    if name in (*RELAYS, *(projection.name for projection in built_in_projections())):
        return "it is one of Send2LLM's own."
    return ""
