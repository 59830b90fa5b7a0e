"""Where ``send2llm replay`` gets its calls from: an export, or the event store."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from send2llm.interfaces.cli.database import opened_database
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.progress import progress_bar

if TYPE_CHECKING:
    from send2llm.application.replay.calls import Call, Selection
    from send2llm.infrastructure.analysis.calls_by_day import CallsByDay
    from send2llm.settings import Settings


class RecordedCalls:
    """The calls that a replay is asked about, and all others."""

    def __init__(self, calls: "CallsByDay", selection: "Selection") -> None:
        self._calls = calls
        self._selection = selection

    def selected(self) -> "Iterator[Call]":
        """The selected calls in the order in which they began."""
        return self._read("Replaying", self._selection)

    def all(self, doing: str) -> "Iterator[Call]":
        """All calls in that order, whatever was selected."""
        from send2llm.application.replay.calls import Selection

        return self._read(doing, Selection())

    def _read(self, doing: str, selection: "Selection") -> "Iterator[Call]":
        with progress_bar(doing, "calls") as told:
            yield from self._calls.read(selection, told)


@contextmanager
def recorded_calls(
    settings: "Settings", export: Path | None, selection: "Selection", *, requests: bool
) -> Iterator[RecordedCalls]:
    """Of an export if there is one, else of the store; ``requests``: with the digests of what was asked."""
    if export is not None:
        from send2llm.infrastructure.analysis.exported_calls import ExportedCalls

        yield RecordedCalls(ExportedCalls(export), selection)
        return
    from send2llm.bootstrap.texts import text_keys
    from send2llm.infrastructure.analysis.stored_calls import StoredCalls
    from send2llm.infrastructure.analysis.stored_log import StoredLog

    with opened_database(settings) as database:
        log = StoredLog(database, text_keys(settings) if requests else None)
        try:
            with progress_bar("Reading calls", "positions") as told:
                calls = StoredCalls(log, requests=requests, told=told)
        except OSError as error:
            raise CommandFailed(
                f"{tempfile.gettempdir()} cannot be written ({error.strerror}); name another folder in TMPDIR."
            ) from None
        finally:
            log.close()
    with calls:
        yield RecordedCalls(calls, selection)
