"""One-dimensional arrays in the binary format of PostgreSQL.

The writer thread shares the interpreter with the event loop, so each microsecond it computes is taken from
calls to models. psycopg adapts the elements of an array one by one, in Python; joining their bytes here takes
half as long, and large states are neither escaped nor doubled in size on their way.

Format: ``array_recv`` in PostgreSQL's ``arrayfuncs.c``. Five 32-bit integers (dimensions, has nulls, element
type, length, lower bound), then for each element its length in bytes, -1 for null, and its bytes.
"""

import struct
from collections.abc import Iterable, Sequence

TEXT, TEXT_ARRAY = 25, 1009
BYTEA, BYTEA_ARRAY = 17, 1001
BIGINT, BIGINT_ARRAY = 20, 1016
INTEGER, INTEGER_ARRAY = 23, 1007

_NULL = b"\xff\xff\xff\xff"
_HEADER = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_INTEGER_ELEMENT = struct.Struct(">ii")
_BIGINT_ELEMENT = struct.Struct(">iq")


def text_array(values: Sequence[str]) -> bytes:
    """``text[]``, in UTF-8."""
    return _variable(TEXT, len(values), (value.encode() for value in values))


def bytea_array(values: Sequence[bytes | None]) -> bytes:
    """``bytea[]``; None becomes null."""
    return _variable(BYTEA, len(values), values)


def bigint_array(values: Sequence[int]) -> bytes:
    """``bigint[]``."""
    return _fixed(BIGINT, values, _BIGINT_ELEMENT)


def integer_array(values: Sequence[int]) -> bytes:
    """``integer[]``."""
    return _fixed(INTEGER, values, _INTEGER_ELEMENT)


def read_bigint_array(data: bytes) -> list[int]:
    """The elements of a ``bigint[]`` that holds no nulls."""
    return [element for _, element in _BIGINT_ELEMENT.iter_unpack(data[_HEADER.size :])]


def read_integer_array(data: bytes) -> list[int]:
    """The elements of an ``integer[]`` that holds no nulls."""
    return [element for _, element in _INTEGER_ELEMENT.iter_unpack(data[_HEADER.size :])]


def _header(element_type: int, length: int) -> bytes:
    return _HEADER.pack(1 if length else 0, 0, element_type, length, 1)[: None if length else 12]


def _variable(element_type: int, length: int, values: Iterable[bytes | None]) -> bytes:
    parts = [_header(element_type, length)]
    pack_length = _LENGTH.pack
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts += (pack_length(len(value)), value)
    return b"".join(parts)


def _fixed(element_type: int, values: Sequence[int], element: struct.Struct) -> bytes:
    pack, size = element.pack, element.size - _LENGTH.size
    return b"".join([_header(element_type, len(values)), *[pack(size, value) for value in values]])
