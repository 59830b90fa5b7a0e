"""The history as PostgreSQL tells it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Select, Text, cast, func, literal, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from send2llm.application.queries import (
    EVERYTHING,
    LARGEST_PAGE,
    ConversationDetail,
    ConversationFilter,
    ConversationOrder,
    ConversationPage,
    HistoryCounts,
    OpenCompletion,
)
from send2llm.domain.errors import ConversationNotFound, InvalidRequest
from send2llm.infrastructure.projections.bulk import storable_json, storable_text
from send2llm.infrastructure.projections.views import as_read
from send2llm.infrastructure.read_models import history_tables
from send2llm.infrastructure.read_models.cursors import read_cursor, write_cursor
from send2llm.infrastructure.read_models.history_lines import (
    completion_line,
    conversation_summary,
    feedback_line,
    message_line,
)
from send2llm.infrastructure.read_models.history_rows import indexed
from send2llm.infrastructure.read_models.statements import Rows, Tables

completions = as_read(history_tables.NAME, history_tables.VERSION, history_tables.completions)
conversations = as_read(history_tables.NAME, history_tables.VERSION, history_tables.conversations)
feedback = as_read(history_tables.NAME, history_tables.VERSION, history_tables.feedback)
messages = as_read(history_tables.NAME, history_tables.VERSION, history_tables.messages)


class PostgresHistory:
    """``HistoryQueries`` on the tables of the history projection."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def conversations(
        self,
        matching: ConversationFilter = EVERYTHING,
        *,
        order: ConversationOrder = "updated_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> ConversationPage:
        if not 1 <= limit <= LARGEST_PAGE:
            raise InvalidRequest(f"limit is a number from 1 to {LARGEST_PAGE}.", param="limit")
        by: Column[Any] = conversations.c[order]
        # One row more than asked for tells whether there is another page.
        page = _matching(matching).order_by(by.desc(), conversations.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            page = page.where(tuple_(by, conversations.c.id) < tuple_(*read_cursor(cursor, order)))
        (found,) = await self._read(page)
        shown = [conversation_summary(row) for row in found[:limit]]
        more = len(found) > limit
        return ConversationPage(shown, write_cursor(order, found[limit - 1][order], shown[-1].id) if more else None)

    async def conversation(self, conversation_id: UUID, tenant: str | None = None) -> ConversationDetail:
        found, said, asked, judged = await self._read(
            select(conversations).where(conversations.c.id == conversation_id),
            select(messages).where(messages.c.conversation_id == conversation_id).order_by(messages.c.ordinal),
            select(completions)
            .where(completions.c.conversation_id == conversation_id)
            .order_by(completions.c.requested_at, completions.c.completion_id),
            select(feedback).where(feedback.c.conversation_id == conversation_id).order_by(feedback.c.position),
        )
        if not found or (tenant is not None and found[0]["tenant"] != tenant):
            raise ConversationNotFound(conversation_id)
        return ConversationDetail(
            summary=conversation_summary(found[0]),
            messages=[message_line(row) for row in said],
            completions=[completion_line(row) for row in asked],
            feedback=[feedback_line(row) for row in judged],
        )

    async def open_completions(self) -> Sequence[OpenCompletion]:
        (found,) = await self._read(
            select(
                completions.c.conversation_id,
                completions.c.completion_id,
                completions.c.process,
                conversations.c.tenant,
                completions.c.requested_at,
            )
            .join(conversations, conversations.c.id == completions.c.conversation_id)
            .where(completions.c.status == "awaited")
            .order_by(completions.c.requested_at)
        )
        return [OpenCompletion(**row) for row in found]

    async def counts(self, tenant: str | None = None) -> HistoryCounts:
        statements = [
            select(func.count().label("conversations")).select_from(conversations),
            select(func.count().label("messages")).select_from(messages),
            select(completions.c.status, func.count().label("count")).group_by(completions.c.status),
        ]
        if tenant is not None:
            own = conversations.c.tenant == tenant
            statements[0] = statements[0].where(own)
            statements[1] = (
                statements[1].join(conversations, conversations.c.id == messages.c.conversation_id).where(own)
            )
            statements[2] = (
                statements[2].join(conversations, conversations.c.id == completions.c.conversation_id).where(own)
            )
        (talks,), (lines,), calls = await self._read(*statements)
        return HistoryCounts(
            conversations=talks["conversations"],
            messages=lines["messages"],
            completions={row["status"]: row["count"] for row in calls},
        )

    async def _read(self, *statements: Select[Any]) -> list[Rows]:
        return await self._tables.read("the history", *statements)


def _matching(matching: ConversationFilter) -> Select[Any]:
    table = conversations.c
    found = select(conversations)
    for column, wanted in (
        (table.tenant, matching.tenant),
        (table.last_model, matching.model),
        (table.last_provider, matching.provider),
        (table.state, matching.state),
    ):
        if wanted is not None:
            found = found.where(column == storable_text(indexed(wanted)))
    if matching.started_from is not None:
        found = found.where(table.started_at >= matching.started_from)
    if matching.started_before is not None:
        found = found.where(table.started_at < matching.started_before)
    if matching.text:
        found = found.where(table.title.icontains(storable_text(matching.text), autoescape=True))
    if matching.labels:
        # The first of the conditions is for the planner: it is the one of the index.
        labels = cast(literal(storable_json(dict(matching.labels)), Text), JSONB)
        found = found.where(table.labels != literal_column("'{}'", JSONB), table.labels.contains(labels))
    return found
