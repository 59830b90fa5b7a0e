"""How far an export has come. Whatever is not in the manifest is not in the export."""

import os
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import orjson

from send2llm.domain.errors import ConfigurationError
from send2llm.domain.log_seals import NOTHING_BEFORE, RawEvent, Seal, link_of
from send2llm.infrastructure.analysis.parts import sync_folder

FILE = "manifest.json"
FORMAT = 2


@dataclass(frozen=True, slots=True)
class Manifest:
    """The last exported ``position`` and ``seal`` (which reaches the position ``sealed``), and calls that may change.

    ``last_event`` and ``last_seal`` tell what stands there: two logs that have the same event at a position have the
    same ones up to it, for no id is given twice. ``open_calls`` have no row yet; ``written_off`` have one that may
    change, in the part that ``row_parts`` names.
    """

    position: int = 0
    last_event: str = ""
    seal: int = 0
    last_seal: str = ""
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
        if folder.exists() and not folder.is_dir():
            raise ConfigurationError(f"{folder} is a file; name a folder.")
        try:
            told = orjson.loads((folder / FILE).read_bytes())
        except FileNotFoundError:
            if folder.exists() and any(path for path in folder.iterdir() if not path.name.startswith(".")):
                raise ConfigurationError(
                    f"{folder} holds something that is no export; name an empty folder or an export."
                ) from None
            return cls()
        except (OSError, orjson.JSONDecodeError) as error:
            raise ConfigurationError(
                f"{folder / FILE} cannot be read ({type(error).__name__}); export into another folder."
            ) from None
        if isinstance(told, dict) and told.get("format") not in (None, FORMAT):
            raise ConfigurationError(f"{folder} was written by another version; export into another folder.")
        if not _is_manifest(told):
            raise ConfigurationError(f"{folder / FILE} is not what an export writes; export into another folder.")
        return cls(**told)

    def goes_on(self, folder: Path, event: RawEvent | None, seal: Seal | None) -> None:
        """Refuse a log in which other ones than this ``event`` and ``seal`` stand where the export ends."""
        if self.last_event != digest_of(event) or self.last_seal != signature_of(seal):
            raise ConfigurationError(
                f"{folder} holds the export of another log, or of this one before its database was restored from a "
                f"backup: what it has up to position {self.position} is not what the log has. "
                "Export into another folder."
            )

    def write(self, folder: Path) -> None:
        """Replace the file as a whole."""
        draft = folder / f".{FILE}.unfinished"
        with draft.open("wb") as file:
            file.write(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / FILE)
        sync_folder(folder)


def digest_of(event: RawEvent | None) -> str:
    """Tells an event from any other; ``""`` for none."""
    return "" if event is None else link_of(_NO_CHAIN, NOTHING_BEFORE, event).hex()


def signature_of(seal: Seal | None) -> str:
    """Tells a seal from any other; ``""`` for none."""
    return "" if seal is None else seal.signature.hex()


_NO_CHAIN = UUID(int=0)

_CALLS = ("open_calls", "written_off")


def _is_manifest(told: Any) -> bool:
    """Whether all fields are there, and none else, each with a value of its type."""
    return (
        isinstance(told, dict)
        and told.keys() == _TYPES.keys()
        and all(type(told[name]) is kind for name, kind in _TYPES.items())
        and all(isinstance(call, dict) for name in _CALLS for call in told[name].values())
        and all(isinstance(part, str) for part in told["row_parts"].values())
    )


_TYPES = {one.name: dict if one.default is MISSING else type(one.default) for one in fields(Manifest)}
