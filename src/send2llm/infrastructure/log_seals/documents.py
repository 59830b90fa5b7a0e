"""Seals as JSON, to be kept elsewhere."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from send2llm.domain.errors import InvalidRequest
from send2llm.domain.log_seals import Seal

_BYTES = ("previous", "link", "public_key", "signature", "links")


def write_seal(seal: Seal) -> dict[str, Any]:
    """The document of a seal; bytes are hexadecimal."""
    return {
        "chain": str(seal.chain),
        "number": seal.number,
        "first_position": seal.first_position,
        "last_position": seal.last_position,
        "events": seal.events,
        "sealed_at": seal.sealed_at.isoformat(timespec="microseconds"),
        **{name: getattr(seal, name).hex() for name in _BYTES},
    }


def read_seal(document: Any) -> Seal:
    """The seal of a document; raises ``InvalidRequest`` if it is none."""
    try:
        return Seal(
            chain=UUID(document["chain"]),
            number=int(document["number"]),
            first_position=int(document["first_position"]),
            last_position=int(document["last_position"]),
            events=int(document["events"]),
            sealed_at=datetime.fromisoformat(document["sealed_at"]),
            **{name: bytes.fromhex(document.get(name, "")) for name in _BYTES},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidRequest("That is no seal: write it with `send2llm audit seals --json`.") from None


def read_seals(document: Any) -> Sequence[Seal]:
    """The seals of what ``send2llm audit seals --json`` prints, or of one seal."""
    if isinstance(document, dict) and "data" in document:
        return [read_seal(one) for one in document["data"]]
    return [read_seal(document)]
