"""``send2llm encryption``: the keys under which texts are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from send2llm.domain.errors import ConfigurationError
from send2llm.interfaces.cli.database import opened_database
from send2llm.interfaces.cli.options import AsJson
from send2llm.interfaces.cli.output import count, note, show_table, write_json
from send2llm.interfaces.cli.progress import progress_bar

if TYPE_CHECKING:
    from typing import Any

    import psycopg

    from send2llm.infrastructure.event_store.text_keys import TextKeys

RESTORE_KEYS = "Restore the rows of conversation_keys from a backup, or erase the conversations that lost theirs."

app = typer.Typer(no_args_is_help=True, help="The keys under which what was said is kept.")


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show the master keys, by their names, and how many conversations' keys each wraps; and how many are lost."""
    from send2llm.infrastructure.event_store.text_key_rows import count_by_master_key, count_lost

    with _opened() as (connection, keys):
        counts, lost = count_by_master_key(connection), count_lost(connection)
    names = list(dict.fromkeys([*(keys.names if keys else ()), *counts]))
    lines = [(name, _role(name, keys), counts.get(name, 0)) for name in names]
    if as_json:
        columns = ("master_key", "role", "conversations")
        told = [dict(zip(columns, line, strict=True)) for line in lines]
        write_json({"encrypts": keys is not None, "master_keys": told, "lost": lost})
        return
    if lost:
        note(f"Conversations whose key is lost, without an erasure: {count(lost)}. {RESTORE_KEYS}")
    if keys is None:
        note("No master key is set: what is said is stored in plain, and cannot be erased. Set encryption.key_file.")
    if lines:
        rows = [(name, role, count(conversations)) for name, role, conversations in lines]
        show_table(("master key", "role", "conversations"), rows, flexible="master key", right={"conversations"})


@app.command()
def rewrap(*, as_json: AsJson = False) -> None:
    """Wrap the keys of all conversations by the first master key, so that the others can be thrown away.

    Services that know this master key may run meanwhile. Texts stay as they are. Safe to repeat.
    """
    from send2llm.infrastructure.event_store.text_key_rows import rewrap as wrap_anew

    with _opened() as (connection, keys):
        if keys is None:
            raise ConfigurationError("No master key is set; set encryption.key_file first.")
        with progress_bar("Wrapping keys", "keys") as told:
            changed = wrap_anew(connection, keys, told)
    if as_json:
        write_json({"master_key": keys.name, "rewrapped": changed})
    else:
        note(f"All keys are wrapped by the master key {keys.name}; {count(changed)} were not before.")


def _role(name: str, keys: "TextKeys | None") -> str:
    if keys is None or name not in keys.names:
        return "missing"
    return "current" if name == keys.name else "known"


@contextmanager
def _opened() -> "Iterator[tuple[psycopg.Connection[Any], TextKeys | None]]":
    import psycopg

    from send2llm.bootstrap.database import refuse_old_schema
    from send2llm.bootstrap.texts import text_keys
    from send2llm.interfaces.serving.logs import log_as_set
    from send2llm.settings import load_settings

    settings = load_settings()
    log_as_set(settings)
    with opened_database(settings) as database:
        refuse_old_schema(database)
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            yield connection, text_keys(settings)
