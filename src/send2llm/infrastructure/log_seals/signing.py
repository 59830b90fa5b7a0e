"""Ed25519 keys (RFC 8032): whoever has the secret one can seal, and anybody with the public one can verify."""

import os
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from send2llm.domain.errors import ConfigurationError, InvalidRequest
from send2llm.infrastructure.key_files import KEY_BYTES, key_bytes, read_or_make


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
        return cls.parse(read_or_make(path), str(path))

    def sign(self, message: bytes) -> bytes:
        """The signature of a message: 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"<SealingKey {self.public.hex()}>"


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of the public key has signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
