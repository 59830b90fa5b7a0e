"""With which keys the texts of events are written and read."""

from pathlib import Path

import psycopg

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.event_store.codec import EventCodec
from send2llm.infrastructure.event_store.text_key_rows import refuse_unknown_master_key
from send2llm.infrastructure.event_store.text_keys import TextKeys
from send2llm.infrastructure.event_store.topics import EventRegistry
from send2llm.infrastructure.postgres import ConnectionInfo, default_data_dir
from send2llm.settings import Settings

TEXT_KEYS_FILE = "texts.key"
"""Where the master key of texts in the embedded database is, in the data folder."""


def refuse_lost_master_keys(database: ConnectionInfo, settings: Settings) -> None:
    """Raise ``ConfigurationError`` when there are texts that the settings hold no master key for; blocks."""
    with psycopg.connect(database.dsn) as connection:
        refuse_unknown_master_key(connection, text_keys(settings))


def ready_master_keys(database: ConnectionInfo, settings: Settings, file: Path | None) -> None:
    """Make the ``file`` of master keys where none is set or there, but not in the place of one that was lost; blocks.

    Raises ``ConfigurationError`` as ``refuse_lost_master_keys`` does.
    """
    refuse_lost_master_keys(database, settings)
    if settings.encryption.key is None and file is not None:
        TextKeys.of_file(file)


def text_keys(settings: Settings) -> TextKeys | None:
    """The master keys, ``None`` when there are none; makes none. Raises ``ConfigurationError`` for what is no key."""
    given = settings.encryption
    if given.key is not None:
        return TextKeys.parse(given.key.get_secret_value(), "encryption.key")
    file = given.key_file
    if file is None and settings.database_url is None:
        file = (settings.data_dir or default_data_dir()) / TEXT_KEYS_FILE
    return TextKeys.of_file(file) if file is not None and file.exists() else None


def event_codec(settings: Settings, registry: EventRegistry | None = None) -> EventCodec:
    """What turns events into rows and back, texts included.

    Raises ``ConfigurationError`` when the key file is gone: that is no wish to store texts in plain.
    """
    keys = text_keys(settings)
    if keys is None and settings.encryption.key_file is not None:
        raise ConfigurationError(
            f"There is no key file {settings.encryption.key_file}. Put it back if it was lost; `send2llm serve` makes "
            "one where nothing is encrypted yet."
        )
    return EventCodec(registry or EventRegistry.default(), keys)
