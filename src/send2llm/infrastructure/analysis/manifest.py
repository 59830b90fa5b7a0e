"""How far an export has come. Whatever is not in the manifest is not in the export."""

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import orjson

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.analysis.parts import sync_folder

FILE = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The last exported ``position`` and ``seal`` (which reaches the position ``sealed``), and calls that may change.

    ``log`` tells one log from another: the hash of its first event. ``open_calls`` have no row yet; ``written_off``
    have one that may change, in the part that ``row_parts`` names.
    """

    log: str = ""
    position: int = 0
    seal: int = 0
    sealed: int = 0
    events: int = 0
    calls: int = 0
    open_calls: dict[str, Any] = field(default_factory=dict)
    written_off: dict[str, Any] = field(default_factory=dict)
    row_parts: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The manifest in a folder; a new one for a folder that is empty or not there."""
        try:
            manifest = cls(**orjson.loads((folder / FILE).read_bytes()))
        except FileNotFoundError:
            if folder.exists() and any(path for path in folder.iterdir() if not path.name.startswith(".")):
                raise ConfigurationError(
                    f"{folder} holds something that is no export; name an empty folder or an export."
                ) from None
            return cls()
        except (OSError, TypeError, orjson.JSONDecodeError) as error:
            raise ConfigurationError(
                f"{folder / FILE} cannot be read ({type(error).__name__}); export into another folder."
            ) from None
        if manifest.format != FORMAT:
            raise ConfigurationError(f"{folder} was written by another version; export into another folder.")
        return manifest

    def of_log(self, log: str, head: int) -> Self:
        """The manifest, if it is about that log, which has come to ``head``; else ``ConfigurationError``."""
        if self.log not in ("", log) or self.position > head:
            raise ConfigurationError("The folder holds the export of another log; export into another folder.")
        return replace(self, log=log)

    def write(self, folder: Path) -> None:
        """Replace the file as a whole."""
        draft = folder / f".{FILE}.unfinished"
        with draft.open("wb") as file:
            file.write(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / FILE)
        sync_folder(folder)
