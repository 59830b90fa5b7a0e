"""Where ``send2llm replay`` gets its calls from: an export, or the event store by way of a passing one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from send2llm.interfaces.cli.database import opened_database
from send2llm.interfaces.cli.progress import progress_bar

if TYPE_CHECKING:
    from send2llm.application.replay.calls import Call, Selection
    from send2llm.settings import Settings


@contextmanager
def selected_calls(settings: "Settings", export: Path | None, selection: "Selection") -> "Iterator[Iterator[Call]]":
    """The selected calls in the order in which they began."""
    from send2llm.infrastructure.analysis.exported_calls import ExportedCalls

    with _exported(settings, export) as folder, progress_bar("Replaying", "calls") as told:
        yield ExportedCalls(folder).read(selection, told)


@contextmanager
def _exported(settings: "Settings", export: Path | None) -> Iterator[Path]:
    if export is not None:
        yield export
        return
    from send2llm.bootstrap import text_keys
    from send2llm.infrastructure.analysis.export import Export
    from send2llm.infrastructure.analysis.stored_log import StoredLog

    with tempfile.TemporaryDirectory(prefix="send2llm-replay-") as name:
        folder = Path(name)
        with opened_database(settings) as database, progress_bar("Reading calls", "positions") as told:
            log = StoredLog(database, text_keys(settings))
            try:
                Export(folder, log, with_events=False).run(lambda position, head, _events: told(position, head))
            finally:
                log.close()
        yield folder
