"""Seals as JSON, to be kept elsewhere."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from send2llm.domain.errors import InvalidRequest
from send2llm.domain.log_seals import Seal

_BYTES = ("previous", "link", "public_key", "signature", "links")


def write_seal(seal: Seal, *, links: bool = False) -> dict[str, Any]:
    """The document of a seal; bytes are hexadecimal. ``links`` are many, and nobody has to keep them."""
    return {
        "chain": str(seal.chain),
        "number": seal.number,
        "first_position": seal.first_position,
        "last_position": seal.last_position,
        "events": seal.events,
        "sealed_at": seal.sealed_at.astimezone(UTC).isoformat(timespec="microseconds"),
        **{name: getattr(seal, name).hex() for name in _BYTES if links or name != "links"},
    }


def read_seal(document: Any) -> Seal:
    """The seal of a document; raises ``InvalidRequest`` if it is none."""
    try:
        return Seal(
            chain=UUID(document["chain"]),
            number=_counted(document["number"]),
            first_position=_counted(document["first_position"]),
            last_position=_counted(document["last_position"]),
            events=_counted(document["events"]),
            sealed_at=_moment(document["sealed_at"]),
            **{name: bytes.fromhex(document.get(name, "")) for name in _BYTES},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidRequest("That is no seal: write it with `send2llm audit seals --json`.") from None


def _counted(number: Any) -> int:
    """Positions and numbers begin with 1; a boolean is none."""
    if type(number) is not int or number < 1:
        raise ValueError
    return number


def _moment(text: str) -> datetime:
    """A time without a zone would be another one on another machine."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def read_seals(document: Any) -> Sequence[Seal]:
    """The seals of what ``send2llm audit seals --json`` prints, or of one seal; none are no seals to compare with."""
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        if not document["data"]:
            raise InvalidRequest("It has no seal in it: nothing was sealed when it was written. Keep a later one.")
        return [read_seal(one) for one in document["data"]]
    return [read_seal(document)]
