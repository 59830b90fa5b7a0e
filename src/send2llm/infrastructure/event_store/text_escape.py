"""Text that PostgreSQL's JSON cannot hold, escaped so that nothing is lost.

JSON text may name U+0000 and halves of surrogate pairs; ``jsonb`` refuses both, and UTF-8 has no bytes for
the latter. Models and tools do produce them (a stream cut inside an emoji, binary output of a command). They
are stored as the noncharacter U+FDD0, which Unicode keeps free for inner use of programs, and four hex
digits; U+FDD0 itself likewise. So every text comes back as it was, and every row can be read by SQL.
"""

import re
from collections.abc import Mapping
from typing import Any

MARK = "\ufdd0"

_UNFIT = re.compile(f"[\x00\ud800-\udfff{MARK}]")
_ESCAPED = re.compile(f"{MARK}([0-9a-f]{{4}})")
_MARK_BYTES = MARK.encode()
_NUL_BYTES = rb"\u0000"

# A single byte is found ten times faster than several, and most states hold neither.
_MARK_LEAD = _MARK_BYTES[0]
_BACKSLASH = _NUL_BYTES[0]


def needs_escape(encoded: bytes) -> bool:
    """Whether JSON bytes may hold such text; a false alarm is harmless."""
    return (_BACKSLASH in encoded and _NUL_BYTES in encoded) or is_escaped(encoded)


def is_escaped(encoded: bytes) -> bool:
    """Whether stored JSON bytes hold escaped text."""
    return _MARK_LEAD in encoded and _MARK_BYTES in encoded


def escape(value: Any) -> Any:
    """Escape every text in a JSON value, keys included."""
    return _map_text(value, lambda text: _UNFIT.sub(lambda found: f"{MARK}{ord(found[0]):04x}", text))


def unescape(value: Any) -> Any:
    """Undo ``escape``."""
    return _map_text(value, lambda text: _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))


def _map_text(value: Any, change: Any) -> Any:
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(key): _map_text(item, change) for key, item in value.items()}
        case list() | tuple():
            return [_map_text(item, change) for item in value]
        case _:
            return value
