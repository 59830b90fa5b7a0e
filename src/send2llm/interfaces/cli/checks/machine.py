"""Checks of the machine and the settings: the data folder, the message handlers, the keys of texts, the local model."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from send2llm.bootstrap.followers import projections
from send2llm.bootstrap.key_files import open_key_files
from send2llm.bootstrap.texts import text_keys
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.handlers.loading import load_handlers
from send2llm.infrastructure.local_model.model_file import checked_model_path, model_path
from send2llm.interfaces.cli.checks import Finding
from send2llm.settings import Settings

LITTLE_ROOM, NO_ROOM = 2 * 1024**3, 256 * 1024**2
"""Bytes free on the disk, below which the database will not last, and will not start."""


def check_data_folder(folder: Path) -> Iterator[Finding]:
    """Whether the folder, or the nearest one above it that exists, can be written to and has room."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    missing = "" if existing == folder else " (not made yet)"
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "data folder",
            "fail",
            f"{folder} cannot be written to",
            "Give yourself the right to, or set SEND2LLM_DATA_DIR to another folder.",
        )
        return
    yield Finding("data folder", "ok", f"{folder}{missing}")
    free = shutil.disk_usage(existing).free
    found = f"{free / 1024**3:.1f} GiB free"
    if free < LITTLE_ROOM:
        remedy = "Make room, or set SEND2LLM_DATA_DIR to a folder on a larger disk."
        yield Finding("disk space", "fail" if free < NO_ROOM else "warn", found, remedy)
    else:
        yield Finding("disk space", "ok", found)


def check_handlers(settings: Settings) -> Finding:
    """Whether the message handlers can be made."""
    try:
        load_handlers(settings.handlers, settings.handler_options)
    except ConfigurationError as error:
        return Finding("handlers", "fail", str(error), "Correct handlers and handler_options in send2llm.toml.")
    return Finding("handlers", "ok", ", ".join(settings.handlers) or "none")


def check_projections(settings: Settings) -> Finding:
    """Whether the projections can be loaded."""
    try:
        found = projections(settings)
    except ConfigurationError as error:
        return Finding("projections", "fail", str(error), "Correct the projection; a service does not start with it.")
    return Finding("projections", "ok", ", ".join(projection.name for projection in found))


def check_encryption(settings: Settings) -> Finding:
    """Whether texts are encrypted, and so can be erased; makes no key."""
    key_file = settings.encryption.key_file
    if settings.encryption.key is None and key_file is not None and not key_file.exists():
        return Finding("encryption", "ok", f"{key_file} (not made yet)")
    try:
        keys = text_keys(settings)
    except (ConfigurationError, OSError) as error:
        return Finding("encryption", "fail", str(error), "Correct the key; whoever has lost it cannot read the texts.")
    if keys is not None:
        return Finding("encryption", "ok", f"texts are encrypted, master key {keys.name}")
    if settings.database_url is None:
        return Finding("encryption", "ok", "a key is made when the service first starts")
    remedy = "Set encryption.key_file, or no conversation can be erased."
    return Finding("encryption", "warn", "texts are stored in plain", remedy)


def check_key_files(settings: Settings) -> Finding:
    """Whether secret keys are for their owner alone; not refused, for secrets that are mounted may be as they are."""
    found = " ".join(map(str, open_key_files(settings)))
    if found:
        return Finding("key files", "warn", f"others may read or change {found}", f"Run: chmod 600 {found}")
    return Finding("key files", "ok", "for nobody else to read")


def check_local_model(settings: Settings, data_dir: Path) -> Finding:
    """Whether the local model can run, where it is wanted."""
    wanted = settings.local_model
    if wanted.enabled == "never":
        return Finding("local model", "ok", "switched off")
    if wanted.enabled == "auto" and settings.providers:
        return Finding("local model", "ok", "not needed: providers are configured")
    path = wanted.path or model_path(data_dir)
    missing: Finding | None = None
    if find_spec("xllamacpp") is None:
        remedy = "Run: pip install 'send2llm[local]'"
        missing = Finding("local model", "fail", "its engine is not installed", remedy)
    elif wanted.path is None and not path.exists():
        missing = Finding("local model", "fail", f"there is no {path}", "Run: send2llm local fetch")
    if missing is not None:
        return missing
    try:
        return Finding("local model", "ok", str(checked_model_path(path)))
    except ConfigurationError as error:
        return Finding("local model", "fail", str(error), "Correct local_model.path in send2llm.toml.")
