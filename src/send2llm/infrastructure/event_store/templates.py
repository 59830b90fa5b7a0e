"""The prompt templates in the event store on PostgreSQL."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from eventsourcing.persistence import PersistenceError
from psycopg_pool import AsyncConnectionPool

from send2llm.application.context import Context
from send2llm.application.ports import Clock, Identifiers
from send2llm.domain.errors import StaleTemplate, StoreOverloaded, StoreUnavailable
from send2llm.domain.prompt_template import PromptTemplate
from send2llm.domain.prompt_template_events import TemplateEvent
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.errors import AppendQueueFull, VersionConflict
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.group_commit import GroupCommitRecorder
from send2llm.infrastructure.event_store.streams import template_of, template_stream
from send2llm.infrastructure.event_store.template_appends import TEMPLATE_TOPICS, TemplateAppends


class EventSourcedTemplates:
    """Implements the ``Templates`` port. Templates are few and short: each is folded when it is asked for."""

    def __init__(
        self,
        recorder: GroupCommitRecorder,
        pool: AsyncConnectionPool,
        codec: EventCodec,
        clock: Clock,
        identifiers: Identifiers,
    ) -> None:
        self._recorder = recorder
        self._log = EventLog(pool, codec)
        self._appends = TemplateAppends(codec, clock, identifiers)

    async def load(self, name: str) -> PromptTemplate:
        """A template of the caller's own; raises ``TemplateNotFound``, ``StoreUnavailable``."""

        def fold(events: Sequence[TemplateEvent]) -> PromptTemplate:
            return PromptTemplate.fold(name, events)

        return await self._log.fold_stream(template_stream(name), 0, fold)

    async def all(self) -> Sequence[PromptTemplate]:
        """All templates, in the order of their first versions; raises ``StoreUnavailable``."""
        events: defaultdict[str, list[TemplateEvent]] = defaultdict(list)
        for recorded in await self._log.of_topics(0, TEMPLATE_TOPICS):
            events[template_of(recorded.stream)].append(recorded.event)  # type: ignore[arg-type] # the topics vouch for it
        return [PromptTemplate.fold(name, of_one) for name, of_one in events.items()]

    async def save(self, template: PromptTemplate, context: Context) -> None:
        """Store its new events; raises ``StaleTemplate``, ``StoreUnavailable``, ``StoreOverloaded``."""
        append = self._appends.make(template, context)
        if append is None:
            return
        try:
            await asyncio.shield(self._recorder.append(append))
        except VersionConflict:
            raise StaleTemplate(template.name) from None
        except AppendQueueFull as error:
            raise StoreOverloaded(f"{error} Try again in a moment.") from error
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error
