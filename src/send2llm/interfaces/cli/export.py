"""``send2llm export``: the history as Parquet."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from send2llm.interfaces.cli.bulk_work import bulk_work
from send2llm.interfaces.cli.database import opened_database
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson
from send2llm.interfaces.cli.output import count, note, write_json
from send2llm.interfaces.cli.progress import progress_bar

if TYPE_CHECKING:
    from send2llm.infrastructure.postgres import ConnectionInfo
    from send2llm.settings import Settings


@dataclass(frozen=True, slots=True)
class _Exported:
    position: int
    events: int
    calls: int
    new_events: int
    new_calls: int
    seals: int
    unreadable_conversations: int
    seconds: float


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the files go: an empty folder, or an earlier export.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Write the whole history as Parquet: events, calls, and seals.

    The same command again adds what is new; so it does after it was interrupted, by whatever.
    """
    from send2llm.infrastructure.analysis.extra import need_pyarrow
    from send2llm.interfaces.serving.logs import log_as_set
    from send2llm.settings import load_settings

    need_pyarrow()
    settings = load_settings()
    log_as_set(settings)
    with bulk_work(), opened_database(settings) as database:
        try:
            exported = _export(folder, database, settings)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise CommandFailed(f"{folder} cannot be written ({why}); name another folder, or make room.") from None
    if as_json:
        write_json(asdict(exported))
        return
    note(
        f"{count(exported.new_events)} events and {count(exported.new_calls)} calls are new in {folder}: "
        f"{count(exported.events)} events up to position {count(exported.position)}, {count(exported.calls)} calls, "
        f"{count(exported.seals)} seals; {exported.seconds:.1f} s."
    )
    if exported.unreadable_conversations:
        note(
            f"Conversations whose texts are not erased, and cannot be decrypted: {exported.unreadable_conversations}. "
            "Digests and lengths of their calls are null. `send2llm doctor` tells more."
        )


def _export(folder: Path, database: "ConnectionInfo", settings: "Settings") -> _Exported:
    from send2llm.bootstrap.texts import text_keys
    from send2llm.infrastructure.analysis.export import Export
    from send2llm.infrastructure.analysis.manifest import Manifest
    from send2llm.infrastructure.analysis.stored_log import StoredLog

    began = time.monotonic()
    before = Manifest.of(folder)
    log = StoredLog(database, text_keys(settings))
    try:
        with progress_bar("Exporting", "positions") as told:
            after = Export(folder, log).run(lambda position, head, _events: told(position, head))
    finally:
        log.close()
    return _Exported(
        position=after.position,
        events=after.events,
        calls=after.calls,
        new_events=after.events - before.events,
        new_calls=after.calls - before.calls,
        seals=after.seal,
        unreadable_conversations=len(log.unreadable),
        seconds=round(time.monotonic() - began, 3),
    )
