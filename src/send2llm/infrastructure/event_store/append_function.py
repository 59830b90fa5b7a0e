"""The database function that stores one batch of appends, and how it is called.

One round trip does everything: the lock, the check for conflicts, the insert, the heads, the keys, the notification.
It is not the function of the ``eventsourcing`` library, which takes no lock and so lets readers lose events.

The lock is EXCLUSIVE, as the library's own: it lets readers through and lets one writer at a time take
notification ids and commit. So the order of ids is the order of commits, and ``notification_id > N`` never
passes an event by. A conflict is looked for before anything is inserted, because a failed insert would use up
notification ids and leave gaps.

What is encrypted is stored only while its key is: an acknowledged text that nobody can read would be lost.

An event may leave its version to the function (``BEHIND_THE_LAST``): then nobody has to know what its stream holds, and
it is refused only when the stream was closed. That is how money is held from an allowance, and taken away.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from eventsourcing.persistence import DataError
from psycopg.sql import SQL, Composed, Identifier, Literal

from send2llm.infrastructure.event_store import binary_arrays
from send2llm.infrastructure.event_store.append import BEHIND_THE_LAST, CLOSING_TOPIC, Append

FUNCTION_NAME = "append_events_v3"
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
    binary_arrays.TEXT_ARRAY,
    binary_arrays.BYTEA_ARRAY,
    binary_arrays.INTEGER_ARRAY,
    binary_arrays.TEXT_ARRAY,
    binary_arrays.BYTEA_ARRAY,
    binary_arrays.INTEGER_ARRAY,
)

STORED = 0
ALREADY_STORED = -1
KEY_NOT_STORED = -2

_SIGNATURE = (
    "text[], bigint[], text[], bytea[], integer[], integer, text[], bytea[], integer[], text[], bytea[], integer[],"
    " text[], bytea[], integer[]"
)

_CREATE = """
CREATE OR REPLACE FUNCTION {function}(
    originator_ids text[], originator_versions bigint[], topics text[], states bytea[],
    append_ends integer[], appends_overlap integer,
    head_originator_ids text[], head_digests bytea[], head_appends integer[],
    key_originator_ids text[], wrapped_keys bytea[], key_appends integer[],
    needed_originator_ids text[], needed_keys bytea[], needed_appends integer[],
    OUT notification_ids bigint[], OUT verdicts integer[]
) LANGUAGE plpgsql AS {body}
"""

_BODY = """
#variable_conflict use_column
DECLARE
    first_event integer := 1;
    last_event integer;
    versions bigint[] := originator_versions;
    closed integer;
    numbered integer;
    met integer;
    same integer;
    conflict integer;
    ids bigint[];
BEGIN
    LOCK TABLE {events} IN EXCLUSIVE MODE;
    verdicts := array_fill(0, ARRAY[cardinality(append_ends)]);

    IF {behind_the_last} = ANY (originator_versions) THEN
        {give_versions_of_all};
    END IF;
    IF appends_overlap = 0 AND closed IS NULL AND NOT EXISTS (
        SELECT FROM unnest(originator_ids, versions) AS new (originator_id, originator_version)
        JOIN {events} USING (originator_id, originator_version)
    ) AND NOT EXISTS ({keys_not_stored}) THEN
        WITH inserted AS (
            INSERT INTO {events} (originator_id, originator_version, topic, state)
            SELECT * FROM unnest(originator_ids, versions, topics, states)
            RETURNING notification_id
        )
        SELECT array_agg(notification_id ORDER BY notification_id) INTO notification_ids FROM inserted;
    ELSE
        FOR append_number IN 1 .. cardinality(append_ends) LOOP
            last_event := append_ends[append_number];
            SELECT count(*) FILTER (WHERE originator_version <> {behind_the_last}),
                   count(new.notification_id), count(*) FILTER (WHERE new.same),
                   coalesce(min(new.place) FILTER (WHERE NOT new.same), min(new.place) FILTER (WHERE new.same)),
                   array_agg(new.notification_id ORDER BY new.place)
            INTO numbered, met, same, conflict, ids
            FROM (
                SELECT place, wanted.originator_version, stored.notification_id,
                       stored.topic = wanted.topic AND stored.state = wanted.state AS same
                FROM unnest(
                    originator_ids[first_event:last_event], originator_versions[first_event:last_event],
                    topics[first_event:last_event], states[first_event:last_event]
                ) WITH ORDINALITY AS wanted (originator_id, originator_version, topic, state, place)
                LEFT JOIN {events} AS stored USING (originator_id, originator_version)
            ) AS new;
            closed := NULL;
            versions := originator_versions[first_event:last_event];
            IF numbered < last_event - first_event + 1 THEN
                {give_versions_of_one};
            END IF;
            IF met = 0 AND closed IS NULL AND EXISTS ({keys_not_stored} AND needed.append = append_number) THEN
                verdicts[append_number] := {key_not_stored};
                ids := array_fill(0::bigint, ARRAY[last_event - first_event + 1]);
            ELSIF met = 0 AND closed IS NULL THEN
                WITH inserted AS (
                    INSERT INTO {events} (originator_id, originator_version, topic, state)
                    SELECT * FROM unnest(
                        originator_ids[first_event:last_event], versions,
                        topics[first_event:last_event], states[first_event:last_event]
                    )
                    RETURNING notification_id
                )
                SELECT array_agg(notification_id ORDER BY notification_id) INTO ids FROM inserted;
            ELSIF numbered > 0 AND same = numbered THEN
                verdicts[append_number] := {already_stored};
                IF numbered < last_event - first_event + 1 THEN
                    SELECT array_agg(found.notification_id ORDER BY place) INTO ids
                    FROM unnest(originator_ids[first_event:last_event], states[first_event:last_event])
                        WITH ORDINALITY AS wanted (originator_id, state, place)
                    CROSS JOIN LATERAL (
                        SELECT notification_id FROM {events} AS stored
                        WHERE stored.originator_id = wanted.originator_id AND stored.state = wanted.state
                        LIMIT 1
                    ) AS found;
                END IF;
            ELSE
                verdicts[append_number] := coalesce(conflict, closed);
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

    IF cardinality(key_appends) > 0 THEN
        -- A stream that has a key would lose what is encrypted under another one: rather nothing is stored.
        INSERT INTO {keys} (originator_id, wrapped)
        SELECT originator_id, wrapped
        FROM unnest(key_originator_ids, wrapped_keys, key_appends) AS key (originator_id, wrapped, append)
        WHERE verdicts[append] = {stored} AND wrapped IS NOT NULL;

        DELETE FROM {keys} WHERE originator_id IN (
            SELECT originator_id
            FROM unnest(key_originator_ids, wrapped_keys, key_appends) AS key (originator_id, wrapped, append)
            WHERE verdicts[append] = {stored} AND wrapped IS NULL
        );
    END IF;

    NOTIFY {channel};
END
"""


_GIVE_VERSIONS = """
        SELECT array_agg(
                   CASE new.version
                       WHEN {behind_the_last} THEN coalesce(last.version, 0) + new.rank ELSE new.version
                   END
                   ORDER BY new.place
               ),
               min(new.place) FILTER (WHERE last.topic = {closing_topic})
        INTO versions, closed
        FROM (
            SELECT id, version, place, row_number() OVER (PARTITION BY id, version ORDER BY place) AS rank
            FROM unnest({ids}, {versions}) WITH ORDINALITY AS event (id, version, place)
        ) AS new
        LEFT JOIN LATERAL (
            SELECT originator_version AS version, topic FROM {events}
            WHERE originator_id = new.id ORDER BY originator_version DESC LIMIT 1
        ) AS last ON new.version = {behind_the_last}
"""
"""Events without a version of their own go behind what their streams hold, in their order; ``closed`` is the first one
whose stream takes no more."""

_KEYS_NOT_STORED = """
        SELECT FROM unnest(needed_originator_ids, needed_keys, needed_appends)
            AS needed (originator_id, wrapped, append)
        LEFT JOIN {keys} AS stored USING (originator_id)
        WHERE stored.wrapped IS DISTINCT FROM needed.wrapped
"""


@dataclass(frozen=True, slots=True)
class AppendFunction:
    """The function for one pair of tables: its SQL, its parameters, and the meaning of its answer."""

    schema: str
    events_table: str
    heads_table: str
    keys_table: str

    @property
    def signature(self) -> Composed:
        """Name and parameter types, as ``to_regprocedure`` reads them."""
        return SQL("{}({})").format(self._name, SQL(_SIGNATURE))

    @property
    def body(self) -> Composed:
        """The source that the database keeps in ``pg_proc.prosrc``."""
        return SQL(_BODY).format(
            give_versions_of_all=self._give_versions("originator_ids", "originator_versions"),
            give_versions_of_one=self._give_versions(
                "originator_ids[first_event:last_event]", "originator_versions[first_event:last_event]"
            ),
            behind_the_last=SQL(str(BEHIND_THE_LAST)),
            events=Identifier(self.schema, self.events_table),
            heads=Identifier(self.schema, self.heads_table),
            keys=Identifier(self.schema, self.keys_table),
            channel=Identifier(self.events_table),
            stored=SQL(str(STORED)),
            already_stored=SQL(str(ALREADY_STORED)),
            key_not_stored=SQL(str(KEY_NOT_STORED)),
            keys_not_stored=SQL(_KEYS_NOT_STORED).format(keys=Identifier(self.schema, self.keys_table)),
        )

    def _give_versions(self, ids: LiteralString, versions: LiteralString) -> Composed:
        return SQL(_GIVE_VERSIONS).format(
            ids=SQL(ids),
            versions=SQL(versions),
            events=Identifier(self.schema, self.events_table),
            behind_the_last=SQL(str(BEHIND_THE_LAST)),
            closing_topic=Literal(CLOSING_TOPIC),
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
    keys = [(number, key) for number, append in enumerate(appends, 1) for key in append.keys]
    needed = [(number, key) for number, append in enumerate(appends, 1) for key in append.needed_keys]
    originator_ids = [event.originator_id for event in events]
    versions = [event.originator_version for event in events]
    overlap = _overlap(originator_ids, versions)
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
            binary_arrays.text_array([key.originator_id for _, key in keys]),
            binary_arrays.bytea_array([key.wrapped for _, key in keys]),
            binary_arrays.integer_array([number for number, _ in keys]),
            binary_arrays.text_array([key.originator_id for _, key in needed]),
            binary_arrays.bytea_array([key.wrapped for _, key in needed]),
            binary_arrays.integer_array([number for number, _ in needed]),
        ]
    except (AttributeError, TypeError, UnicodeEncodeError, struct.error) as error:
        raise DataError(
            "An event cannot be stored: originator_id and topic must be text without lone surrogates, "
            f"originator_version a 64-bit integer and state bytes ({type(error).__name__})."
        ) from error


def _overlap(originator_ids: Sequence[object], versions: Sequence[int]) -> bool:
    """Whether events may be in each other's way: the same versions, or numbered ones beside others in one stream."""
    if BEHIND_THE_LAST not in versions:
        return len(set(zip(originator_ids, versions, strict=True))) < len(versions)
    numbered = [pair for pair in zip(originator_ids, versions, strict=True) if pair[1] != BEHIND_THE_LAST]
    others = {stream for stream, version in zip(originator_ids, versions, strict=True) if version == BEHIND_THE_LAST}
    return len(set(numbered)) < len(numbered) or not others.isdisjoint(stream for stream, _ in numbered)


def decode(notification_ids: bytes, verdicts: bytes) -> tuple[list[int], list[int]]:
    """The notification id of each event (0 where refused), and for each append what became of it.

    ``STORED``, ``ALREADY_STORED``, ``KEY_NOT_STORED``, or the number, from 1, of the event within the append that met
    another.
    """
    return (
        binary_arrays.read_bigint_array(notification_ids),
        binary_arrays.read_integer_array(verdicts),
    )
