"""A streamed chat completion, from bytes to deltas."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2

from send2llm.domain.completion import Delta
from send2llm.domain.errors import MalformedReply, ProviderError, StreamBroken
from send2llm.infrastructure.formats.openai_chat import parse_reply, read_chunk
from send2llm.infrastructure.providers.openai_errors import OpenAIErrors
from send2llm.infrastructure.providers.response_bodies import pieces
from send2llm.infrastructure.providers.sse import Event, EventSplitter, EventTooLarge

END_MARK = b"[DONE]"

END_OF_BODY_WAIT = 0.25
"""Seconds to wait, after the end mark, for the end of the body, without which the connection cannot be used again."""


async def batches_of(response: httpx2.Response, errors: OpenAIErrors) -> AsyncIterator[list[Delta]]:
    """One batch for each piece of the network that completes events; raises ``ProviderError``.

    What came before an error is given first. A stream that ends without its end mark counts as whole if every
    answer in it has a finish reason: some servers never send the mark. Else it is broken.
    """
    splitter = EventSplitter()
    stream = _ChunkStream(errors, response)
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


class _ChunkStream:
    """What the events so far amount to: ``done`` with the end mark, ``error`` when one of them is wrong or says so."""

    def __init__(self, errors: OpenAIErrors, response: httpx2.Response) -> None:
        self._errors = errors
        self._headers = response.headers
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self.done = False
        self.error: ProviderError | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every answer that began has a finish reason, and there is one."""
        return bool(self._finished) and not self._open

    def take(self, events: list[Event]) -> list[Delta]:
        """The deltas in some events, up to the end mark or the first error."""
        deltas: list[Delta] = []
        for event in events:
            if event.data == END_MARK:
                self.done = True
                break
            try:
                deltas += self._deltas(event)
            except ProviderError as error:
                self.error = error
                break
        return deltas

    def _deltas(self, event: Event) -> list[Delta]:
        chunk = parse_reply(event.data)
        if chunk.get("error"):
            raise self._errors.from_event(chunk["error"], self._headers)
        deltas = read_chunk(chunk, event.data, event.raw)
        for delta in deltas:
            if delta.finish_reason is not None:
                self._finished.add(delta.index)
                self._open.discard(delta.index)
            elif delta.index not in self._finished and delta.usage is None:
                self._open.add(delta.index)
        return deltas


async def _read_to_the_end(body: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, httpx2.TransportError):
        async with asyncio.timeout(END_OF_BODY_WAIT):
            async for _ in body:
                pass
