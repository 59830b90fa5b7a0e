"""How readers get the stored keys of conversations: in the statement that reads events, or for a page of them."""

from typing import LiteralString

_STORED_KEY: LiteralString = """coalesce(
    (SELECT wrapped FROM conversation_keys AS stored_key WHERE stored_key.originator_id = STREAM),
    CASE WHEN starts_with(STREAM, 'conversation-') AND (
        SELECT last_one.topic FROM stored_events AS last_one WHERE last_one.originator_id = STREAM
        ORDER BY last_one.originator_version DESC LIMIT 1
    ) <> 'conversation.erased' THEN ''::bytea END
)"""


def stored_key(stream: LiteralString) -> LiteralString:
    """The SQL for the key of a stream: ``NULL`` when that was erased, ``LOST`` (empty) when there should be one.

    ``stream`` is SQL for the name of the stream. Nothing follows an erasure, so a stream that was erased ends with it,
    and only streams without a key are asked. A stream whose texts are in plain has none, and nobody asks for it.
    """
    return _STORED_KEY.replace("STREAM", stream)


STORED_KEYS = "SELECT stream, STORED_KEY FROM unnest(%(streams)s::text[]) AS stream".replace(
    "STORED_KEY", stored_key("stream")
)
"""The keys of many streams at once: far fewer than events, where a page of them is read."""
