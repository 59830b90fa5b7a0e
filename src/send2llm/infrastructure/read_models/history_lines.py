"""Rows of the history as readers get them."""

from collections.abc import Mapping
from typing import Any

from send2llm.application.queries import CompletionLine, ConversationSummary, FeedbackLine, MessageLine
from send2llm.domain.completion import Usage
from send2llm.infrastructure.read_models.history_tables import USAGE_FIELDS

Row = Mapping[str, Any]

_USAGES = frozenset(f"{origin}_{name}" for origin in ("reported", "estimated") for name in USAGE_FIELDS)


def conversation_summary(row: Row) -> ConversationSummary:
    """A row of ``conversations``."""
    return ConversationSummary(**row)


def message_line(row: Row) -> MessageLine:
    """A row of ``messages``."""
    return MessageLine(**_without(row, {"conversation_id"}))


def completion_line(row: Row) -> CompletionLine:
    """A row of ``completions``."""
    return CompletionLine(
        **_without(row, {"conversation_id", *_USAGES}),
        reported_usage=_usage(row, "reported"),
        estimated_usage=_usage(row, "estimated"),
    )


def feedback_line(row: Row) -> FeedbackLine:
    """A row of ``feedback``."""
    return FeedbackLine(**_without(row, {"conversation_id", "position"}))


def _usage(row: Row, origin: str) -> Usage | None:
    if row[f"{origin}_input_tokens"] is None:
        return None
    return Usage(**{name: row[f"{origin}_{name}"] for name in USAGE_FIELDS})


def _without(row: Row, names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
