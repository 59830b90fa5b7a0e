"""The prompt templates in memory."""

from collections.abc import Sequence

from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.errors import StaleTemplate
from send2llm.domain.prompt_template import PromptTemplate
from send2llm.infrastructure.event_store.errors import VersionConflict
from send2llm.infrastructure.event_store.streams import template_of, template_stream
from send2llm.infrastructure.event_store.template_appends import TEMPLATE_TOPICS, TemplateAppends
from send2llm.testing.clock import FakeClock, SequentialIdentifiers
from send2llm.testing.event_store import InMemoryEventStore


class InMemoryTemplates:
    """Implements the ``Templates`` port on an ``InMemoryEventStore``."""

    def __init__(
        self,
        store: InMemoryEventStore | None = None,
        clock: Clock | None = None,
        identifiers: Identifiers | None = None,
    ) -> None:
        self.store = store or InMemoryEventStore()
        self._appends = TemplateAppends(
            self.store.codec, clock or FakeClock(), identifiers or SequentialIdentifiers(0xEC00)
        )

    async def load(self, name: str) -> PromptTemplate:
        """A template of the caller's own."""
        events = [recorded.event for recorded in self.store.stream(template_stream(name))]
        return PromptTemplate.fold(name, events)  # type: ignore[arg-type] # the stream's name vouches for them

    async def all(self) -> Sequence[PromptTemplate]:
        """All templates, in the order of their first versions."""
        self.store.must_be_available()
        streams = [recorded.stream for recorded in self.store.events if recorded.topic in TEMPLATE_TOPICS]
        return [await self.load(template_of(stream)) for stream in dict.fromkeys(streams)]

    async def save(self, template: PromptTemplate, context: Context) -> None:
        """Keep its new events, all or nothing."""
        append = self._appends.make(template, context)
        if append is None:
            return
        try:
            self.store.append(append)
        except VersionConflict:
            raise StaleTemplate(template.name) from None
