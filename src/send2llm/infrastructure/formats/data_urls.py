"""Pictures in ``data:`` URLs, for formats that want their bytes and not their address.

Form of the URL: https://www.rfc-editor.org/rfc/rfc2397.
"""

import re
from base64 import b64decode
from typing import NamedTuple

from send2llm.domain.errors import RequestRejected
from send2llm.domain.message import ImagePart
from send2llm.infrastructure.formats.foreign import FORMATS

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w-]+=[\w-]+)*;base64,", re.IGNORECASE)


class Picture(NamedTuple):
    """A picture itself: its media type in lower case (``image/png``), and its bytes as base64."""

    media_type: str
    base64: str


def picture_of(image: ImagePart, target: str) -> Picture:
    """The picture in a ``data:`` URL; raises ``RequestRejected`` for an address, which ``target`` does not fetch."""
    head = _DATA_URL.match(image.url)
    if head is None:
        raise RequestRejected(
            f"The field 'image_url' holds an address, and {FORMATS.get(target, target)} takes only the picture itself: "
            "send it as a data: URL (data:image/png;base64,...)."
        )
    data = image.url[head.end() :]
    try:
        b64decode(data, validate=True)
    except ValueError:
        raise RequestRejected("The field 'image_url' holds a data: URL that is not valid base64.") from None
    return Picture(head.group(1).lower(), data)


def data_url(media_type: str, base64: str) -> str:
    """The URL that holds a picture."""
    return f"data:{media_type};base64,{base64}"
