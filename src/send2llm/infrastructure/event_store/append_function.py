"""The database function that stores one batch of appends, and how it is called.

One round trip does everything: the lock, the check for conflicts, the insert, the heads, the notification.
It is not the function of the ``eventsourcing`` library, which takes no lock and so lets readers lose events.

The lock is EXCLUSIVE, as the library's own: it lets readers through and lets one writer at a time take
notification ids and commit. So the order of ids is the order of commits, and ``notification_id > N`` never
passes an event by. A conflict is looked for before anything is inserted, because a failed insert would use up
notification ids and leave gaps.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from eventsourcing.persistence import DataError
from psycopg.sql import SQL, Composed, Identifier

from send2llm.infrastructure.event_store import binary_arrays
from send2llm.infrastructure.event_store.append import Append

FUNCTION_NAME = "append_events_v1"
"""The number goes up when parameters or result change, so that old and new services can run side by side."""

PARAMETER_TYPES = (
    binary_arrays.TEXT_ARRAY,
    binary_arrays.BIGINT_ARRAY,
    binary_arrays.TEXT_ARRAY,
    binary_arrays.BYTEA_ARRAY,
    binary_arrays.INTEGER_ARRAY,
    binary_arrays.INTEGER,
    binary_arrays.TEXT_ARRAY,
    binary_arrays.BYTEA_ARRAY,
    binary_arrays.INTEGER_ARRAY,
)

STORED = 0
ALREADY_STORED = -1

_SIGNATURE = "text[], bigint[], text[], bytea[], integer[], integer, text[], bytea[], integer[]"

_CREATE = """
CREATE OR REPLACE FUNCTION {function}(
    originator_ids text[], originator_versions bigint[], topics text[], states bytea[],
    append_ends integer[], appends_overlap integer,
    head_originator_ids text[], head_digests bytea[], head_appends integer[],
    OUT notification_ids bigint[], OUT verdicts integer[]
) LANGUAGE plpgsql AS {body}
"""

_BODY = """
#variable_conflict use_column
DECLARE
    first_event integer := 1;
    last_event integer;
    met integer;
    same integer;
    conflict integer;
    ids bigint[];
BEGIN
    LOCK TABLE {events} IN EXCLUSIVE MODE;
    verdicts := array_fill(0, ARRAY[cardinality(append_ends)]);

    IF appends_overlap = 0 AND NOT EXISTS (
        SELECT FROM unnest(originator_ids, originator_versions) AS new (originator_id, originator_version)
        JOIN {events} USING (originator_id, originator_version)
    ) THEN
        WITH inserted AS (
            INSERT INTO {events} (originator_id, originator_version, topic, state)
            SELECT * FROM unnest(originator_ids, originator_versions, topics, states)
            RETURNING notification_id
        )
        SELECT array_agg(notification_id ORDER BY notification_id) INTO notification_ids FROM inserted;
    ELSE
        FOR append IN 1 .. cardinality(append_ends) LOOP
            last_event := append_ends[append];
            SELECT count(*), count(*) FILTER (WHERE new.same),
                   coalesce(min(new.place) FILTER (WHERE NOT new.same), min(new.place)),
                   array_agg(new.notification_id ORDER BY new.place)
            INTO met, same, conflict, ids
            FROM (
                SELECT place, stored.notification_id,
                       stored.topic = wanted.topic AND stored.state = wanted.state AS same
                FROM unnest(
                    originator_ids[first_event:last_event], originator_versions[first_event:last_event],
                    topics[first_event:last_event], states[first_event:last_event]
                ) WITH ORDINALITY AS wanted (originator_id, originator_version, topic, state, place)
                JOIN {events} AS stored USING (originator_id, originator_version)
            ) AS new;
            IF met = 0 THEN
                WITH inserted AS (
                    INSERT INTO {events} (originator_id, originator_version, topic, state)
                    SELECT * FROM unnest(
                        originator_ids[first_event:last_event], originator_versions[first_event:last_event],
                        topics[first_event:last_event], states[first_event:last_event]
                    )
                    RETURNING notification_id
                )
                SELECT array_agg(notification_id ORDER BY notification_id) INTO ids FROM inserted;
            ELSIF same = last_event - first_event + 1 THEN
                verdicts[append] := {already_stored};
            ELSE
                verdicts[append] := conflict;
                ids := array_fill(0::bigint, ARRAY[last_event - first_event + 1]);
            END IF;
            notification_ids := notification_ids || ids;
            first_event := last_event + 1;
        END LOOP;
        IF NOT {stored} = ANY (verdicts) THEN
            RETURN;
        END IF;
    END IF;

    IF cardinality(head_appends) > 0 THEN
        INSERT INTO {heads} (originator_id, digest, notification_id)
        SELECT DISTINCT ON (originator_id) originator_id, digest, notification_ids[append_ends[append]]
        FROM unnest(head_originator_ids, head_digests, head_appends)
            WITH ORDINALITY AS head (originator_id, digest, append, place)
        WHERE verdicts[append] = {stored} AND digest IS NOT NULL
        ORDER BY originator_id, place DESC
        ON CONFLICT (originator_id)
        DO UPDATE SET digest = excluded.digest, notification_id = excluded.notification_id;

        DELETE FROM {heads} WHERE originator_id IN (
            SELECT originator_id FROM (
                SELECT DISTINCT ON (originator_id) originator_id, digest
                FROM unnest(head_originator_ids, head_digests, head_appends)
                    WITH ORDINALITY AS head (originator_id, digest, append, place)
                WHERE verdicts[append] = {stored}
                ORDER BY originator_id, place DESC
            ) AS latest
            WHERE digest IS NULL
        );
    END IF;

    NOTIFY {channel};
END
"""


@dataclass(frozen=True, slots=True)
class AppendFunction:
    """The function for one pair of tables: its SQL, its parameters, and the meaning of its answer."""

    schema: str
    events_table: str
    heads_table: str

    @property
    def signature(self) -> Composed:
        """Name and parameter types, as ``to_regprocedure`` reads them."""
        return SQL("{}({})").format(self._name, SQL(_SIGNATURE))

    @property
    def body(self) -> Composed:
        """The source that the database keeps in ``pg_proc.prosrc``."""
        return SQL(_BODY).format(
            events=Identifier(self.schema, self.events_table),
            heads=Identifier(self.schema, self.heads_table),
            channel=Identifier(self.events_table),
            stored=SQL(str(STORED)),
            already_stored=SQL(str(ALREADY_STORED)),
        )

    @property
    def create_statement(self) -> Composed:
        return SQL(_CREATE).format(function=self._name, body=self.body.as_string())

    @property
    def call_statement(self) -> bytes:
        """The call, with numbered parameters, for libpq."""
        numbers = SQL(", ").join(SQL(f"${number}") for number in range(1, len(PARAMETER_TYPES) + 1))
        return SQL("SELECT notification_ids, verdicts FROM {}({})").format(self._name, numbers).as_bytes()

    @property
    def _name(self) -> Identifier:
        # Two event tables in one schema need two functions.
        return Identifier(self.schema, f"{self.events_table}_{FUNCTION_NAME}")


def encode(appends: Sequence[Append]) -> list[bytes]:
    """The parameters of one call, in PostgreSQL's binary format.

    Raises DataError when something in an append has no place in a column.
    """
    events = [event for append in appends for event in append.events]
    heads = [(number, head) for number, append in enumerate(appends, 1) for head in append.heads]
    originator_ids = [event.originator_id for event in events]
    versions = [event.originator_version for event in events]
    overlap = len(set(zip(originator_ids, versions, strict=True))) < len(events)
    ends: list[int] = []
    end = 0
    for append in appends:
        end += len(append.events)
        ends.append(end)
    try:
        return [
            binary_arrays.text_array(originator_ids),  # type: ignore[arg-type] # a UUID fails below, by name
            binary_arrays.bigint_array(versions),
            binary_arrays.text_array([event.topic for event in events]),
            binary_arrays.bytea_array([event.state for event in events]),
            binary_arrays.integer_array(ends),
            overlap.to_bytes(4, "big"),
            binary_arrays.text_array([head.originator_id for _, head in heads]),
            binary_arrays.bytea_array([head.digest for _, head in heads]),
            binary_arrays.integer_array([number for number, _ in heads]),
        ]
    except (AttributeError, TypeError, UnicodeEncodeError, struct.error) as error:
        raise DataError(
            "An event cannot be stored: originator_id and topic must be text without lone surrogates, "
            f"originator_version a 64-bit integer and state bytes ({type(error).__name__})."
        ) from error


def decode(notification_ids: bytes, verdicts: bytes) -> tuple[list[int], list[int]]:
    """The notification id of each event (0 where refused), and for each append what became of it.

    ``STORED``, ``ALREADY_STORED``, or the number, from 1, of the event within the append that met another.
    """
    return (
        binary_arrays.read_bigint_array(notification_ids),
        binary_arrays.read_integer_array(verdicts),
    )
