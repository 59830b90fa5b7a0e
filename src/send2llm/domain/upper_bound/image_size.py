"""The size of a picture, read from the head of a ``data:`` URL; no picture is decoded."""

from base64 import b64decode
from binascii import Error
from typing import NamedTuple

_HEADS = (4096, 131_072)
"""Characters of base64 to look at: first few, then enough for the metadata and colour profile of a photograph."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA


class ImageSize(NamedTuple):
    """Pixels."""

    width: int
    height: int


def size_in_url(url: str) -> ImageSize | None:
    """The size of a PNG or JPEG in a base64 ``data:`` URL; ``None`` where it is not there to read.

    A JPEG has one frame header (decoders refuse a second), and thumbnails hide in segments that are skipped. GIF and
    WebP may hold frames of several sizes: theirs counts as unknown.
    """
    if not url.startswith("data:"):
        return None
    header, comma, _ = url[:256].partition(",")
    if not comma or not header.endswith(";base64"):
        return None
    start = len(header) + 1
    for length in _HEADS:
        try:
            head = b64decode(url[start : start + length], validate=True)
        except (Error, ValueError):
            return None
        size = _size(head)
        if size is not None or not head.startswith(_JPEG):
            return size
    return None


def _size(head: bytes) -> ImageSize | None:
    if head.startswith(_PNG) and head[12:16] == b"IHDR" and len(head) >= 24:
        return ImageSize(int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"))
    if head.startswith(_JPEG):
        return _jpeg_size(head)
    return None


def _jpeg_size(head: bytes) -> ImageSize | None:
    """Walk from segment to segment (ITU-T T.81, annex B) to the frame header."""
    place = len(_JPEG)
    while place + 9 <= len(head) and head[place] == 0xFF:
        marker = head[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            place += 2
        elif marker in _JPEG_FRAMES:
            height, width = head[place + 5 : place + 7], head[place + 7 : place + 9]
            # A height of 0 is defined later, by a DNL segment.
            if height == b"\0\0":
                return None
            return ImageSize(int.from_bytes(width, "big"), int.from_bytes(height, "big"))
        elif marker == _JPEG_SCAN:
            return None
        else:
            place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
    return None
