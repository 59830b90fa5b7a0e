"""Writes Amazon's event stream, as its services do.

Format: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

_STRING = 7
"""The type of a header's value; all of ours are strings."""


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message: lengths, their checksum, headers, payload, and the checksum of it all."""
    encoded = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    begun = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + payload
    return begun + struct.pack("!I", zlib.crc32(begun))


def event(kind: str, body: Any) -> bytes:
    """An event of that kind."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, json.dumps(body, ensure_ascii=False).encode())


def exception(kind: str, text: str) -> bytes:
    """An error that the service knows, in mid-stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, json.dumps({"message": text}).encode())


def error(code: str, text: str) -> bytes:
    """An error that it does not know."""
    return message({":error-code": code, ":error-message": text, ":message-type": "error"}, b"")


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _STRING, len(value)) + value
