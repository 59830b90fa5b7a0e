"""What a projection is written with. The built-in projections use nothing else.

``Projection`` is the contract; ``send2llm.application.projections`` explains it. ``table_name`` names the tables.
``conversation_id_of`` reads an event's stream. ``copy_rows``, ``replace_rows`` and ``add_rows`` (for counts and sums)
write many rows in a statement or two; who writes with statements of their own passes texts through ``storable_text``,
and what is JSON through ``storable_json``, which PostgreSQL can hold.
"""

from send2llm.application.context import Metadata, RecordedEvent
from send2llm.application.projections import Projection, table_name
from send2llm.infrastructure.event_store.streams import conversation_id_of
from send2llm.infrastructure.projections.bulk import add_rows, copy_rows, replace_rows, storable_json, storable_text

__all__ = [
    "Metadata",
    "Projection",
    "RecordedEvent",
    "add_rows",
    "conversation_id_of",
    "copy_rows",
    "replace_rows",
    "storable_json",
    "storable_text",
    "table_name",
]
