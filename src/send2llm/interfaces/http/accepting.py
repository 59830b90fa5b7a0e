"""In which form a caller wants the answer: https://www.rfc-editor.org/rfc/rfc9110#field.accept."""

import re
from typing import Annotated

from fastapi import Header

Accept = Annotated[str, Header()]

_NOT_AT_ALL = re.compile(r"q\s*=\s*0(\.0*)?")


def wants_event_stream(accept: str) -> bool:
    """Whether the header ``Accept`` asks for server-sent events by name; JSON is for all who take anything."""
    for one in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in one.split(";"))
        if media_type == "text/event-stream" and not any(map(_NOT_AT_ALL.fullmatch, parameters)):
            return True
    return False
