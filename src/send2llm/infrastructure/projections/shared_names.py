"""Names that projections share: their own, and those of tables and views, which are all in one schema.

``cost`` with a table ``ledger_attempts`` and ``cost_ledger`` with a table ``attempts`` would both be read as
``cost_ledger_attempts``: whoever is swapped in last would be read instead of the other one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from send2llm.application.projections import Projection
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.projections.views import name_of_view
from send2llm.infrastructure.relay.names import RELAYS

TABLES_OF_THE_SERVICE = frozenset(
    {
        *("stored_events", "conversation_heads", "conversation_keys"),
        *("log_seals", "projection_checkpoints", "projection_skips", "send2llm_schema"),
    }
)


def refuse_shared_names(own: Sequence[Projection], built_in: Sequence[Projection]) -> None:
    """Raise ``ConfigurationError`` unless all these projections can stand side by side in one database."""
    _refuse_names_of(built_in, own)
    owners = dict.fromkeys(TABLES_OF_THE_SERVICE, "a table of the service")
    for projection in (*built_in, *own):
        for relation, owner in _relations(projection):
            other = owners.setdefault(relation, owner)
            if other != owner:
                raise ConfigurationError(
                    f"{relation!r} would be the name of {owner}, and is that of {other}; "
                    f"rename the projection {projection.name}, or its table."
                )


def _refuse_names_of(built_in: Sequence[Projection], own: Sequence[Projection]) -> None:
    names = {projection.name for projection in built_in}
    for (name, version), times in Counter((projection.name, projection.version) for projection in own).items():
        if name in RELAYS:
            raise ConfigurationError(f"{name} is the name of the relay of events; give your projection another one.")
        if name in names:
            raise ConfigurationError(f"{name} is a projection of Send2LLM's own; give yours another name.")
        if times > 1:
            raise ConfigurationError(
                f"Two projections are called {name}, version {version}; rename one of them, or raise its version."
            )


def _relations(projection: Projection) -> Iterator[tuple[str, str]]:
    """Every name that it takes, and whose it is: versions share their views, but no table."""
    for table in projection.tables.sorted_tables:
        yield table.name, f"a table of {projection.name}, version {projection.version}"
        yield name_of_view(projection.name, projection.version, table.name), f"a view of {projection.name}"
