"""Ed25519 keys (RFC 8032): whoever has the secret one can seal, and anybody with the public one can verify."""

import base64
import binascii
import os
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from send2llm.domain.errors import ConfigurationError, InvalidRequest

KEY_BYTES = 32


class SealingKey:
    """The secret key, as 32 bytes in base64 or hexadecimal."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def parse(cls, text: str, place: str) -> Self:
        """Read a key; raises ``ConfigurationError`` that names the ``place`` and never the key."""
        try:
            return cls(key_bytes(text, place))
        except InvalidRequest as error:
            raise ConfigurationError(str(error)) from None

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The key in a file that only its owner may read; a new one is written if there is none."""
        try:
            return cls.parse(path.read_text("ascii"), str(path))
        except FileNotFoundError:
            return cls._written(path)

    @classmethod
    def _written(cls, path: Path) -> Self:
        secret = os.urandom(KEY_BYTES)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process was first
            return cls.parse(path.read_text("ascii"), str(path))
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secret) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return cls(secret)

    def sign(self, message: bytes) -> bytes:
        """The signature of a message: 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"<SealingKey {self.public.hex()}>"


def key_bytes(text: str, place: str) -> bytes:
    """32 bytes written in hexadecimal or base64; raises ``InvalidRequest`` that names the ``place``."""
    text = text.strip()
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise InvalidRequest(f"{place} holds no key: 32 bytes in base64 or hexadecimal are needed.", param=place)
    return raw


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of the public key has signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
