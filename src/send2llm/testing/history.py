"""A history in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from send2llm.application.context import RecordedEvent
from send2llm.application.queries import (
    EVERYTHING,
    LARGEST_PAGE,
    ConversationDetail,
    ConversationFilter,
    ConversationOrder,
    ConversationPage,
    ConversationSummary,
    HistoryCounts,
    OpenCompletion,
)
from send2llm.domain.errors import ConversationNotFound, InvalidRequest
from send2llm.infrastructure.event_store.streams import conversation_id_of
from send2llm.infrastructure.read_models.cursors import read_cursor, write_cursor
from send2llm.infrastructure.read_models.history_lines import (
    completion_line,
    conversation_summary,
    feedback_line,
    message_line,
)
from send2llm.infrastructure.read_models.history_rows import HistoryRows, Row, indexed


class InMemoryHistory:
    """``HistoryQueries`` over what was folded into it, by the very fold that the projection uses."""

    def __init__(self, events: Iterable[RecordedEvent] = ()) -> None:
        self._rows = HistoryRows()
        self.fold(events)

    def fold(self, events: Iterable[RecordedEvent]) -> None:
        """Take in events of conversations."""
        for recorded in events:
            self._rows.apply(conversation_id_of(recorded.stream), recorded)

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
        found = [row for row in self._rows.conversations.values() if _matches(row, matching)]
        found.sort(key=lambda row: (row[order], row["id"]), reverse=True)
        if cursor is not None:
            after = read_cursor(cursor, order)
            found = [row for row in found if (row[order], row["id"]) < after]
        shown: Sequence[ConversationSummary] = [conversation_summary(row) for row in found[:limit]]
        more = len(found) > limit
        return ConversationPage(shown, write_cursor(order, found[limit - 1][order], shown[-1].id) if more else None)

    async def conversation(self, conversation_id: UUID, tenant: str | None = None) -> ConversationDetail:
        row = self._rows.conversations.get(conversation_id)
        if row is None or (tenant is not None and row["tenant"] != tenant):
            raise ConversationNotFound(conversation_id)
        return ConversationDetail(
            summary=conversation_summary(row),
            messages=[message_line(each) for each in _of(conversation_id, self._rows.messages)],
            completions=[completion_line(each) for each in _of(conversation_id, self._rows.completions.values())],
            feedback=[feedback_line(each) for each in _of(conversation_id, self._rows.feedback)],
        )

    async def open_completions(self) -> Sequence[OpenCompletion]:
        return [
            OpenCompletion(
                conversation_id=row["conversation_id"],
                completion_id=row["completion_id"],
                process=row["process"],
                tenant=self._rows.conversations[row["conversation_id"]]["tenant"],
                requested_at=row["requested_at"],
            )
            for row in self._rows.completions.values()
            if row["status"] == "awaited"
        ]

    async def counts(self, tenant: str | None = None) -> HistoryCounts:
        own = {each for each, row in self._rows.conversations.items() if tenant is None or row["tenant"] == tenant}
        return HistoryCounts(
            conversations=len(own),
            messages=sum(row["conversation_id"] in own for row in self._rows.messages),
            completions=Counter(
                row["status"] for row in self._rows.completions.values() if row["conversation_id"] in own
            ),
        )


def _of(conversation_id: UUID, rows: Iterable[Row]) -> Iterable[Row]:
    return (row for row in rows if row["conversation_id"] == conversation_id)


def _matches(row: Row, matching: ConversationFilter) -> bool:
    wanted = (
        (row["tenant"], matching.tenant),
        (row["last_model"], matching.model),
        (row["last_provider"], matching.provider),
        (row["state"], matching.state),
    )
    return (
        all(value is None or there == indexed(value) for there, value in wanted)
        and (matching.started_from is None or row["started_at"] >= matching.started_from)
        and (matching.started_before is None or row["started_at"] < matching.started_before)
        and (not matching.text or matching.text.lower() in (row["title"] or "").lower())
        and matching.labels.items() <= row["labels"].items()
    )
