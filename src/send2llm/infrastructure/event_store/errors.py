"""What can go wrong between an append and the event table.

All are persistence errors of the ``eventsourcing`` library, so that code written against the library
catches them too::

    PersistenceError
    ├── AppendQueueFull              too much waits already; nothing was stored
    ├── RecorderClosed               the recorder takes no more; nothing was stored
    ├── EventStoreMisconfigured      the database or the settings break a promise of the event store
    └── DatabaseError
        ├── EventStoreUnavailable    the database did not answer in time
        └── IntegrityError
            ├── VersionConflict      another append took the version first
            └── KeyNotStored         a key of the append is not stored, or was wrapped anew
"""

from collections.abc import Sequence

from eventsourcing.persistence import IntegrityError, OperationalError, PersistenceError

from send2llm.domain.errors import ConfigurationError


class AppendQueueFull(PersistenceError):
    """Too many appends, or too many bytes, wait for the database already. This one was not stored."""


class RecorderClosed(PersistenceError):
    """The recorder was closed and takes no more appends. This one was not stored."""


class EventStoreMisconfigured(PersistenceError, ConfigurationError):
    """The database or the settings break a promise of the event store; the message says what to change."""


class EventStoreUnavailable(OperationalError):
    """The database could not be reached, or did not answer, for as long as appends are retried.

    ``outcome_unknown`` is true when the append was sent and the connection broke before the answer came: it
    may have been stored. Sending the very same append again is safe; it is stored once.
    """

    def __init__(self, message: str, *, outcome_unknown: bool) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class VersionConflict(IntegrityError):
    """The stream already holds another event at this version. Nothing of the append was stored."""

    def __init__(self, originator_id: str, originator_version: int) -> None:
        super().__init__(
            f"Stream {originator_id} already holds another event at version {originator_version}. "
            "Load the stream again and repeat the command."
        )
        self.originator_id = originator_id
        self.originator_version = originator_version


class KeyNotStored(IntegrityError):
    """A key under which events were encrypted is not stored, or was wrapped anew meanwhile. Nothing was stored."""

    def __init__(self, originator_ids: Sequence[str]) -> None:
        super().__init__(
            f"The key of {', '.join(originator_ids)} is not stored as it was known here: read it again, and encrypt "
            "anew if it is there."
        )
