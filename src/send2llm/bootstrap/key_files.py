"""The files that hold secret keys, and who may get at them."""

from collections.abc import Sequence
from pathlib import Path

from send2llm.bootstrap.texts import TEXT_KEYS_FILE
from send2llm.infrastructure.key_files import is_open_to_others
from send2llm.infrastructure.postgres import default_data_dir
from send2llm.settings import Settings

SEALING_KEY_FILE = "sealing.key"
"""Where the key is with which the log in the embedded database is sealed, in the data folder."""


def open_key_files(settings: Settings) -> Sequence[Path]:
    """The key files of a service with these settings that others may read, or change; those that are there."""
    folder = (settings.data_dir or default_data_dir()) if settings.database_url is None else None
    named = ((settings.encryption, TEXT_KEYS_FILE), (settings.seals, SEALING_KEY_FILE))
    files = [given.key_file or (folder and folder / name) for given, name in named if given.key is None]
    return [file for file in files if file is not None and is_open_to_others(file)]
