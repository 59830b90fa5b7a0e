"""Keys for what is said: one for each conversation, wrapped by a master key that the database never sees.

A text is encrypted with AES-256-GCM under the key of its conversation; the version of its event is authenticated with
it, so that nobody can put a text in another's place. The key of the conversation lies beside the events, encrypted in
the same way under the master key and bound to the name of its stream. When that row is gone, the texts are too, in
every copy of the log.
"""

import base64
import os
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from send2llm.domain.errors import ConfigurationError, InvalidRequest, UnreadableEvent
from send2llm.infrastructure.key_files import KEY_BYTES, key_bytes, read_or_make

NONCE_BYTES = 12
"""Random ones: NIST SP 800-38D allows 2^32 of them for a key, and no conversation has so many events."""

MASTER_ID_BYTES = 8

LOST = b""
"""What is read in the place of a stored key where there is none, though the conversation was not erased."""

_OPENED_KEYS = 20_000
"""About 1 KiB each."""


class UnreadableText(UnreadableEvent):
    """A text is there and is not erased, and yet it cannot be decrypted."""

    code = "unreadable_text"


class TextKey:
    """The key of one conversation; ``wrapped`` is what is stored of it."""

    __slots__ = ("_cipher", "wrapped")

    def __init__(self, secret: bytes, wrapped: bytes) -> None:
        self._cipher = AESGCM(secret)
        self.wrapped = wrapped

    def encrypt(self, plain: bytes, version: int) -> str:
        """Nonce and ciphertext in base64, for the event at ``version``."""
        nonce = os.urandom(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, plain, b"%d" % version)).decode()

    def decrypt(self, encrypted: str, version: int) -> bytes:
        """Undo ``encrypt``; raises ``UnreadableText``."""
        try:
            raw = base64.b64decode(encrypted)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], b"%d" % version)
        except (InvalidTag, ValueError):  # binascii.Error is one
            raise UnreadableText(
                "A text does not fit the key of its conversation: one of them was changed. `send2llm audit verify` "
                "shows whether it was the text."
            ) from None


class TextKeys:
    """Makes and opens the keys of conversations. The first master key wraps new ones, the others only open."""

    def __init__(self, master_keys: Sequence[bytes]) -> None:
        if not master_keys:
            raise ConfigurationError("The key file for encryption holds no key; remove it, or put the key back.")
        self._masters = {_master_id(key): AESGCM(key) for key in master_keys}
        self._current = _master_id(master_keys[0])
        self.digest_key = _derived(master_keys[0], b"send2llm digests of requests")
        """For digests that shall not confirm a guess; another one when the first master key changes."""
        self.open = lru_cache(maxsize=_OPENED_KEYS)(self._open)
        """The key of a stream from what is stored of it (``stream, wrapped``); raises ``UnreadableText``."""

    @classmethod
    def generate(cls) -> Self:
        """With a new master key."""
        return cls([os.urandom(KEY_BYTES)])

    @classmethod
    def parse(cls, text: str, place: str) -> Self:
        """Read master keys, one a line or separated by commas; ``ConfigurationError`` names the ``place``."""
        try:
            return cls([key_bytes(line, place) for line in text.replace(",", "\n").splitlines() if line.strip()])
        except InvalidRequest as error:
            raise ConfigurationError(str(error)) from None

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The master keys in a file that only its owner may read; one with a new key is written if there is none."""
        return cls.parse(read_or_make(path), str(path))

    @property
    def name(self) -> str:
        """By which the master key for new conversations can be told from others; nothing of it is given away."""
        return self._current.hex()

    @property
    def names(self) -> Sequence[str]:
        """Of all master keys."""
        return [master_id.hex() for master_id in self._masters]

    def new(self, stream: str) -> TextKey:
        """A key for a conversation that has none."""
        secret = os.urandom(KEY_BYTES)
        return TextKey(secret, self._wrap(stream, secret))

    def rewrapped(self, stream: str, wrapped: bytes) -> bytes | None:
        """The same key under the first master key; ``None`` when it is that already. Raises ``UnreadableText``."""
        if wrapped[:MASTER_ID_BYTES] == self._current:
            return None
        return self._wrap(stream, self._unwrap(stream, wrapped))

    def _open(self, stream: str, wrapped: bytes) -> TextKey:
        return TextKey(self._unwrap(stream, wrapped), wrapped)

    def _wrap(self, stream: str, secret: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return self._current + nonce + self._masters[self._current].encrypt(nonce, secret, stream.encode())

    def _unwrap(self, stream: str, wrapped: bytes) -> bytes:
        if wrapped == LOST:
            raise lost_key(stream)
        master_id, sealed = wrapped[:MASTER_ID_BYTES], wrapped[MASTER_ID_BYTES:]
        master = self._masters.get(master_id)
        if master is None:
            raise unknown_master_key(wrapped)
        try:
            return master.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], stream.encode())
        except (InvalidTag, ValueError):
            raise UnreadableText(
                f"The key of {stream} was changed; restore its row in conversation_keys from a backup."
            ) from None

    def __repr__(self) -> str:
        return f"<TextKeys {self.name}>"


def unknown_master_key(wrapped: bytes) -> UnreadableText:
    """The error for a key whose master key is not configured."""
    return UnreadableText(
        f"What was said is encrypted under the master key {wrapped[:MASTER_ID_BYTES].hex()}, which this process does "
        "not have. Put it into encryption.key_file (or encryption.key), behind the present one if there is one."
    )


def lost_key(stream: str) -> UnreadableText:
    """The error for texts whose key is gone, and nobody erased them."""
    return UnreadableText(
        f"The key of {stream} is not stored any more, and the conversation was not erased: restore its row in "
        "conversation_keys from a backup. If there is none, what was said is lost: erase the conversation."
    )


def _derived(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(master_key)


def _master_id(key: bytes) -> bytes:
    return blake2b(key, digest_size=MASTER_ID_BYTES, person=b"send2llm master").digest()
