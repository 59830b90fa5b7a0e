"""What the store is given when a prompt template is saved."""

from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.prompt_template import PromptTemplate
from send2llm.infrastructure.event_store.append import Append
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.event_rows import EventRows
from send2llm.infrastructure.event_store.streams import template_stream

TEMPLATE_TOPICS = ("template.version_added", "template.retired")
"""Topics of all that happens to templates."""


class TemplateAppends:
    """Turns the new events of a template into an append."""

    def __init__(self, codec: EventCodec, clock: Clock, identifiers: Identifiers) -> None:
        self._rows = EventRows(codec, clock, identifiers)

    def make(self, template: PromptTemplate, context: Context) -> Append | None:
        """Collect its new events; ``None`` when there is nothing to store."""
        version, events = template.collect()
        stream = template_stream(template.name)
        rows = [self._rows.row(stream, version + n, event, context) for n, event in enumerate(events, 1)]
        return Append(rows) if rows else None
