"""The stored keys of conversations, all of them: whether they can be opened, and wrapped anew."""

from collections.abc import Callable
from typing import Any

import psycopg

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.event_store.text_keys import MASTER_ID_BYTES, TextKeys, unknown_master_key

_UNKNOWN = "SELECT wrapped FROM conversation_keys WHERE encode(substr(wrapped, 1, %s), 'hex') <> ALL (%s) LIMIT 1"
_BY_MASTER = "SELECT encode(substr(wrapped, 1, %s), 'hex'), count(*) FROM conversation_keys GROUP BY 1 ORDER BY 1"
# The bytes are ``MARK_OF_TEXTS`` of the codec.
_LOST = """
SELECT count(*) FROM stored_events AS first_one
WHERE originator_version = 1 AND starts_with(originator_id, 'conversation-')
  AND NOT EXISTS (SELECT FROM conversation_keys AS key WHERE key.originator_id = first_one.originator_id)
  AND (
      SELECT topic FROM stored_events AS last_one WHERE last_one.originator_id = first_one.originator_id
      ORDER BY originator_version DESC LIMIT 1
  ) <> 'conversation.erased'
  AND EXISTS (
      SELECT FROM stored_events AS event
      WHERE event.originator_id = first_one.originator_id AND position('},"texts":"'::bytea IN event.state) > 0
  )
"""
_COUNT = "SELECT count(*) FROM conversation_keys"
_PAGE = """
SELECT originator_id, wrapped FROM conversation_keys WHERE originator_id > %s ORDER BY originator_id LIMIT 1000
"""
# Only if it is still that key: the conversation may have been erased since it was read.
_REWRAP = "UPDATE conversation_keys SET wrapped = %s WHERE originator_id = %s AND wrapped = %s"


def refuse_unknown_master_key(connection: psycopg.Connection[Any], keys: TextKeys | None) -> None:
    """Raise ``ConfigurationError`` when there are encrypted texts, and no master key for some of them.

    Reads all keys: a tenth of a second for a million of them.
    """
    names = [] if keys is None else list(keys.names)
    row = connection.execute(_UNKNOWN, (MASTER_ID_BYTES, names), binary=True).fetchone()
    if row is not None:
        raise ConfigurationError(str(unknown_master_key(row[0])))


def count_by_master_key(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How many conversations' keys each master key wraps, by its name."""
    return dict(connection.execute(_BY_MASTER, (MASTER_ID_BYTES,)).fetchall())


def count_lost(connection: psycopg.Connection[Any]) -> int:
    """How many conversations have encrypted texts and no key, though they were not erased.

    Looks at the first event of each conversation, and at all events of those without a key.
    """
    row = connection.execute(_LOST).fetchone()
    return row[0] if row else 0


def rewrap(
    connection: psycopg.Connection[Any], keys: TextKeys, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> int:
    """Wrap all keys by the first master key; gives how many were wrapped by others. ``connection`` is in autocommit.

    Services may run meanwhile if they know the first master key. Raises ``UnreadableText``.
    """
    counted = connection.execute(_COUNT).fetchone()
    count, done, changed, last = counted[0] if counted else 0, 0, 0, ""
    while rows := connection.execute(_PAGE, (last,), binary=True).fetchall():
        with connection.transaction(), connection.cursor() as cursor:
            anew = [(keys.rewrapped(stream, wrapped), stream, wrapped) for stream, wrapped in rows]
            changes = [change for change in anew if change[0] is not None]
            if changes:
                cursor.executemany(_REWRAP, changes)
        changed += len(changes)
        done += len(rows)
        last = rows[-1][0]
        progress(done, count)
    return changed
