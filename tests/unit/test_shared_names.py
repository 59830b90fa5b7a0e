"""Projections that would take each other's names are refused before anything runs."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text

from send2llm.bootstrap.followers import built_in_projections
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.projections.shared_names import refuse_shared_names
from send2llm.projections import Projection, RecordedEvent, table_name


class Named:
    topics = frozenset({"conversation.closed"})

    def __init__(self, name: str, *tables: str, version: int = 1) -> None:
        self.name = name
        self.version = version
        self.tables = MetaData()
        for table in tables:
            Table(table_name(name, version, table), self.tables, Column("word", Text))

    def fold(self, events: Sequence[RecordedEvent], connection: Connection) -> None:
        """Nothing is folded here."""


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ([Named("cost", "ledger_attempts")], "'cost_ledger_attempts' would be the name of a view of cost, and is"),
        ([Named("answers", "by_model_models"), Named("answers_by_model", "models")], "a view of answers_by_model, and"),
        ([Named("stored", "events")], "'stored_events' .* a view of stored, and is that of a table of the service"),
        (
            [Named("mine", "v1_kept", "kept")],
            "'mine_v1_kept' .* a view of mine, and is that of a table of mine, version 1",
        ),
        ([Named("a", "b_v1_c"), Named("a_v1_b", "c")], "'a_v1_b_v1_c'"),
        (
            [Named("api", "calls_rows", version=2), Named("api_v2_calls", "rows")],
            "'api_v2_calls_rows' .* a view of api_v2_calls, and is that of a table of api, version 2",
        ),
        ([Named("mine"), Named("mine")], "Two projections are called mine, version 1"),
        ([Named("relay_nats")], "relay_nats is the name of the relay of events; give your projection another one"),
        ([Named("usage", version=7)], "usage is a projection of Send2LLM's own"),
    ],
)
def test_a_name_that_is_taken_is_told_with_whose_it_is(own: Sequence[Projection], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        refuse_shared_names(own, built_in_projections())


def test_versions_share_their_views() -> None:
    refuse_shared_names([Named("mine", "kept"), Named("mine", "kept", version=2)], built_in_projections())
