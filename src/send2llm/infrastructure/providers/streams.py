"""A streamed answer, from bytes to deltas."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import httpx2

from send2llm.domain.completion import Delta
from send2llm.domain.errors import MalformedReply, ProviderError, StreamBroken
from send2llm.infrastructure.providers.dialect import Dialect, Event, ReportedError, StreamReader
from send2llm.infrastructure.providers.provider_errors import ProviderErrors
from send2llm.infrastructure.providers.response_bodies import pieces
from send2llm.infrastructure.providers.sse import EventTooLarge

END_OF_BODY_WAIT = 0.25
"""Seconds to wait, after the end mark, for the end of the body, without which the connection cannot be used again."""


async def batches_of(response: httpx2.Response, dialect: Dialect, errors: ProviderErrors) -> AsyncIterator[list[Delta]]:
    """One batch for each piece of the network that completes events; raises ``ProviderError``.

    What came before an error is given first. A stream that ends without its end mark counts as whole if the reader
    says so: some servers never send the mark. Else it is broken.
    """
    splitter = dialect.splitter()
    stream = _Stream(dialect.reader(), errors, response)
    body = pieces(response)
    async for piece in body:
        try:
            events = splitter.feed(piece)
        except EventTooLarge as error:
            raise MalformedReply(str(error)) from None
        batch = stream.take(events)
        if batch:
            yield batch
        if stream.error is not None:
            raise stream.error
        if stream.done:
            await _read_to_the_end(body)
            return
    batch = stream.take(splitter.end())
    if batch:
        yield batch
    if stream.error is not None:
        raise stream.error
    if not stream.done and not stream.is_whole:
        raise StreamBroken("The stream ended without its end mark, and without a finish reason.")


class _Stream:
    """What the events so far amount to; ``error`` is set when one of them is wrong or says so."""

    def __init__(self, reader: StreamReader, errors: ProviderErrors, response: httpx2.Response) -> None:
        self._reader = reader
        self._errors = errors
        self._headers = response.headers
        self.error: ProviderError | None = None

    @property
    def done(self) -> bool:
        """Whether the end mark has come."""
        return self._reader.done

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing but the end mark."""
        return self._reader.is_whole

    def take(self, events: Iterable[Event]) -> list[Delta]:
        """The deltas in some events, up to the end mark or the first error."""
        deltas: list[Delta] = []
        for event in events:
            try:
                deltas += self._reader.read(event)
            except ReportedError as reported:
                self.error = self._errors.from_event(reported.error, self._headers)
            except ProviderError as error:
                self.error = error
            if self.error is not None or self._reader.done:
                break
        return deltas


async def _read_to_the_end(body: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, httpx2.TransportError):
        async with asyncio.timeout(END_OF_BODY_WAIT):
            async for _ in body:
                pass
