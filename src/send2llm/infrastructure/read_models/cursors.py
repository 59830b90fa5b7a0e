"""Cursors of keyset pages: where the last page ended, sealed in a word that means nothing to callers."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from send2llm.domain.errors import InvalidRequest

_FORM = "1"


def write_cursor(order: str, moment: datetime, row_id: UUID) -> str:
    """The cursor after the row with that time, in the column ``order``, and that id."""
    plain = f"{_FORM}|{order}|{moment.isoformat()}|{row_id.hex}"
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: str) -> tuple[datetime, UUID]:
    """The time and id in a cursor; raises ``InvalidRequest`` for one that was not made for ``order``."""
    try:
        plain = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        form, made_for, moment, row_id = plain.split("|")
        if (form, made_for) != (_FORM, order):
            raise ValueError(made_for)
        parsed = datetime.fromisoformat(moment)
        if parsed.tzinfo is None:
            raise ValueError(moment)
        return parsed, UUID(row_id)
    except (ValueError, binascii.Error):
        raise InvalidRequest(
            "The cursor is not one of a page in this order; take next_cursor from the page before, or leave it out.",
            param="cursor",
        ) from None
