"""Whose the conversations are that were used lately, so that a turn does not ask for it."""

from collections import OrderedDict

from send2llm.infrastructure.event_store.event_log import EventLog

_KEPT = 20_000


class KnownTenants:
    """The tenant of a stream is that of its first event, and never changes."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._known: OrderedDict[str, str] = OrderedDict()

    async def of(self, stream: str) -> str | None:
        """The tenant, ``None`` for a stream without events; raises ``StoreUnavailable``."""
        known = self._known.get(stream)
        if known is not None:
            self._known.move_to_end(stream)
            return known
        events = await self._log.stream(stream, up_to_version=1)
        if not events:
            return None
        self.know(stream, events[0].metadata.tenant)
        return events[0].metadata.tenant

    def know(self, stream: str, tenant: str) -> None:
        """Keep it."""
        self._known[stream] = tenant
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
