"""What projections say, against what can be counted in the log by SQL, without any fold."""

from collections.abc import Callable


def _of(*topics: str, counted: str = "*") -> str:
    named = ", ".join(f"'{topic}'" for topic in topics)
    return f"SELECT count({counted}) FROM stored_events WHERE topic IN ({named})"


_REQUESTED, _RECEIVED = "conversation.completion_requested", "conversation.completion_received"
_CALL = "DISTINCT convert_from(state, 'UTF8')::jsonb #>> '{data,completion_id}'"
_OWNED = "trail_events JOIN stored_events ON notification_id = position WHERE budget_id IS NOT NULL"
_SAID = "history_messages JOIN history_conversations ON id = conversation_id"

_EQUAL = {
    "calls in the history": ("SELECT count(*) FROM history_completions", _of(_REQUESTED)),
    "calls in the usage": ("SELECT sum(calls) FROM usage_quarters", _of(_REQUESTED)),
    "answers in the usage": ("SELECT sum(answered) FROM usage_quarters", _of(_RECEIVED, counted=_CALL)),
    "messages in the history": (
        "SELECT count(*) FROM history_messages",
        _of("conversation.message_added", _RECEIVED),
    ),
    "attempts in the cost ledger": (
        "SELECT count(*) FROM cost_ledger_attempts WHERE attempt = 1",
        _of(_REQUESTED),
    ),
    "erased conversations in the history": (
        "SELECT count(*) FROM history_conversations WHERE state = 'erased'",
        _of("conversation.erased"),
    ),
    "closed allowances with an owner in the trail": (
        f"SELECT count(*) FROM {_OWNED} AND topic = 'allowance.closed'",
        _of("allowance.closed"),
    ),
}
_NONE = {
    "events passed by, or not in the log": (
        "SELECT count(*) FROM stored_events FULL JOIN seen_positions ON position = notification_id"
        " WHERE position IS NULL OR notification_id IS NULL"
    ),
    "events without a row in the trail, or the other way round": (
        "SELECT count(*) FROM stored_events FULL JOIN trail_events ON position = notification_id"
        " WHERE position IS NULL OR notification_id IS NULL"
    ),
    "texts left of erased conversations": f"SELECT count(*) FROM {_SAID} WHERE state = 'erased' AND text <> ''",
    "texts missing that were not erased": f"SELECT count(*) FROM {_SAID} WHERE state <> 'erased' AND text = ''",
    "keys left of erased conversations": (
        "SELECT count(*) FROM conversation_keys JOIN stored_events USING (originator_id)"
        " WHERE topic = 'conversation.erased'"
    ),
}


def miscounts(value: Callable[[str], int]) -> list[str]:
    """What is wrong, in words; ``value`` gives the one number of a query."""
    faults = []
    for what, (folded, counted) in _EQUAL.items():
        found, expected = value(folded), value(counted)
        if found != expected:
            faults.append(f"{found} {what}, {expected} in the log")
    counts = {what: value(query) for what, query in _NONE.items()}
    return [*faults, *(f"{count} {what}" for what, count in counts.items() if count)]
