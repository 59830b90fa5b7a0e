"""The keys of conversations that were used lately, so that a turn does not ask for them."""

from collections import OrderedDict

from send2llm.infrastructure.event_store.append_key import AppendKey
from send2llm.infrastructure.event_store.event_log import EventLog
from send2llm.infrastructure.event_store.reading import Reader
from send2llm.infrastructure.event_store.stored_keys import stored_key
from send2llm.infrastructure.event_store.text_keys import LOST, TextKey, TextKeys, UnreadableText, lost_key

_KEPT = 20_000

_STORED = f"SELECT {stored_key('%(stream)s::text')}"


class KnownKeys:
    """Gives the key for what is appended next to a conversation; none at all without ``keys`` to make them with.

    What is kept may be old: another process may have erased the conversation, given it its key, or wrapped it anew; or
    the key was lost. What is appended under a key that is not stored so is refused; then ``forget``.
    """

    def __init__(self, reader: Reader, log: EventLog, keys: TextKeys | None) -> None:
        self._reader = reader
        self._log = log
        self._keys = keys
        self._known: OrderedDict[str, TextKey] = OrderedDict()

    async def for_append(self, stream: str, *, begins: bool) -> AppendKey | None:
        """The key; a new one for a stream that ``begins``, or was begun when texts were stored in plain.

        Raises ``StoreUnavailable``.
        """
        if self._keys is None:
            return None
        if begins:
            return AppendKey(self._keys.new(stream), is_new=True)
        known = self._known.get(stream)
        if known is not None:
            self._known.move_to_end(stream)
            return AppendKey(known)
        ((wrapped,),) = await self._reader.fetch(_STORED, {"stream": stream})
        if wrapped is None:  # somebody has erased it: nothing is stored under this key, nor is the key
            return AppendKey(self._keys.new(stream))
        if wrapped != LOST:
            return _opened(self._keys, stream, wrapped)
        if await self._log.holds_encrypted_texts(stream):
            return AppendKey(lost_key(stream))
        return AppendKey(self._keys.new(stream), is_new=True)

    def found(self, stream: str, wrapped: bytes) -> None:
        """Keep the key of a stream that was read."""
        if self._keys is not None:
            self.know(stream, self._keys.open(stream, wrapped))

    def know(self, stream: str, key: TextKey | None) -> None:
        """Keep the key of a stream as it is stored; ``None``: it has none."""
        if key is None:
            self.forget(stream)
            return
        self._known[stream] = key
        self._known.move_to_end(stream)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def forget(self, stream: str) -> None:
        """Ask again, next time."""
        self._known.pop(stream, None)


def _opened(keys: TextKeys, stream: str, wrapped: bytes) -> AppendKey:
    try:
        return AppendKey(keys.open(stream, wrapped))
    except UnreadableText as error:
        return AppendKey(error)
