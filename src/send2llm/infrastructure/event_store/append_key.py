"""The key for one append to a conversation."""

from typing import Protocol

from send2llm.infrastructure.event_store.text_keys import TextKey, UnreadableText


class Encrypting(Protocol):
    """What texts of an event are encrypted with."""

    def encrypt(self, plain: bytes, version: int) -> str:
        """The text of the event at ``version``, as it is stored."""
        ...


class AppendKey:
    """A key that remembers whether anything was encrypted under it: then it must be stored, or nothing is.

    ``is_new``: the append stores it. In the place of one that is not to be had there is the reason: events without
    texts are appended all the same.
    """

    __slots__ = ("_key", "is_new", "used")

    def __init__(self, key: TextKey | UnreadableText, *, is_new: bool = False) -> None:
        self._key = key
        self.is_new = is_new
        self.used = False

    @property
    def known(self) -> TextKey | None:
        """The key, if it is to be had."""
        return self._key if isinstance(self._key, TextKey) else None

    def encrypt(self, plain: bytes, version: int) -> str:
        """As ``TextKey.encrypt``; raises ``UnreadableText`` when the key is not to be had."""
        if isinstance(self._key, UnreadableText):
            raise self._key
        self.used = True
        return self._key.encrypt(plain, version)
