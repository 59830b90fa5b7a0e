"""The keys of conversations that were used lately, so that a turn does not ask for them."""

from collections import OrderedDict

from send2llm.infrastructure.event_store.reading import Reader
from send2llm.infrastructure.event_store.text_keys import TextKey, TextKeys

_KEPT = 20_000

_WRAPPED = "SELECT wrapped FROM conversation_keys WHERE originator_id = %s"


class KnownKeys:
    """Gives the key for what is appended next to a conversation; none at all without ``keys`` to make them with.

    What is kept may be old: another process may have erased the conversation, or given it its key. Then it has appended
    an event, too, and what is appended here under another key meets that and is refused.
    """

    def __init__(self, reader: Reader, keys: TextKeys | None) -> None:
        self._reader = reader
        self._keys = keys
        self._known: OrderedDict[str, TextKey] = OrderedDict()

    async def for_append(self, stream: str, *, begins: bool) -> tuple[TextKey | None, bool]:
        """The key, and whether it is new: to a stream that ``begins``, or was begun when texts were stored in plain.

        Raises ``StoreUnavailable``, ``UnreadableText``.
        """
        if self._keys is None:
            return None, False
        if begins:
            return self._keys.new(stream), True
        known = self._known.get(stream)
        if known is not None:
            self._known.move_to_end(stream)
            return known, False
        rows = await self._reader.fetch(_WRAPPED, (stream,))
        if not rows:
            return self._keys.new(stream), True
        return self._keys.open(stream, rows[0][0]), False

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
