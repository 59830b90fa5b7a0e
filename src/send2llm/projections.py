"""What a projection is written with, beside the classes in ``send2llm.events``. The built-in ones use nothing else.

``Projection`` is the contract; ``send2llm.application.projections`` explains it. ``table_name`` names the tables.
``ALL_TOPICS`` are those of every event; ``conversation_id_of``, ``budget_of`` and ``allowance_of`` read its stream.
``copy_rows``, ``replace_rows`` and ``add_rows`` (for counts and sums) write many rows in a statement or two; who writes
with statements of their own passes texts through ``storable_text``, and what is JSON through ``storable_json``, which
PostgreSQL can hold.
"""

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.application.projections import Projection, table_name
from send2llm.infrastructure.event_store.streams import allowance_of, budget_of, conversation_id_of
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.projections.bulk import add_rows, copy_rows, replace_rows, storable_json, storable_text

ALL_TOPICS = frozenset(event_type.topic for event_type in EventRegistry.default())

__all__ = [
    "ALL_TOPICS",
    "Metadata",
    "Projection",
    "RecordedEvent",
    "add_rows",
    "allowance_of",
    "budget_of",
    "conversation_id_of",
    "copy_rows",
    "replace_rows",
    "storable_json",
    "storable_text",
    "table_name",
]
