"""``GET /api/events``: the log for consumers outside, in pages or as a stream of server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query, Response

from send2llm.application.published_events import (
    PublishedEvent,
    PublishedEvents,
    PublishedPage,
    Wanted,
    require_reached,
)
from send2llm.domain.errors import InvalidRequest, Send2LLMError, StoreUnavailable
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.interfaces.http import answers
from send2llm.interfaces.http.accepting import Accept, wants_event_stream
from send2llm.interfaces.http.asgi import EVENT_STREAM, NO_BUFFERING, Receive, Scope, Send, has_left, send_pieces
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.errors import ErrorView, log_unreadable
from send2llm.interfaces.http.strict_route import StrictRoute

LARGEST_PAGE = 1000
USUAL_PAGE = 100

BEGINNING = b": the feed of events\nretry: 1000\n\n"
"""Sent at once, so that the follower knows that it is heard; milliseconds until it comes again when it was cut off."""

PATIENCE = 1.0
"""Seconds that a follower has to take the rest, when the service stops."""

logger = structlog.get_logger(__name__)

router = APIRouter(prefix="/api", tags=["events"], route_class=StrictRoute)

Name = Annotated[str, Query(pattern=r"^[\w.]+$", max_length=200)]
Position = Annotated[int, Query(ge=0, description="The last position that you have seen.")]
LastEventId = Annotated[
    int | None, Header(ge=0, description="What a follower that comes again has seen last; goes before `after`.")
]


@router.get(
    "/events",
    summary="All events in the order in which they were stored",
    response_model=None,
    responses=ends(answers.Feed, stream=True),
)
async def events(
    service: TheService,
    after: Position = 0,
    limit: Annotated[int | None, Query(ge=1, le=LARGEST_PAGE)] = None,
    topic: Annotated[list[Name], Query(max_length=100, description="Only these; several are possible.")] = [],  # noqa: B006 - FastAPI copies it
    tenant: Annotated[str | None, Query(max_length=200)] = None,
    stream: Annotated[str | None, Query(max_length=200, description="Only this, such as `conversation-ID`.")] = None,
    last_event_id: LastEventId = None,
    accept: Accept = "",
) -> Response:
    """Ask again with the last position that you have seen: nothing is ever passed by.

    With `Accept: text/event-stream` the answer goes on with what happens next: `id` is the position, `event` the topic,
    `data` the event. A follower that was cut off goes on with `Last-Event-ID`; nothing comes twice.
    """
    wanted = Wanted(frozenset(topic), _storable(tenant, "tenant"), _storable(stream, "stream"))
    position = after if last_event_id is None else last_event_id
    if wants_event_stream(accept):
        if limit is not None:
            raise InvalidRequest("limit is for pages: a follower gets all, until it leaves.", param="limit")
        with suppress(StoreUnavailable):  # which a follower waits for
            require_reached(position, await service.published.head())
        return FollowedFeed(service.published, position, wanted)
    page = await service.published.page(position, limit or USUAL_PAGE, wanted)
    head = await service.published.head()
    body = b",".join([event.document for event in page.events])
    return Response(b'{"data":[%s],"reached":%d,"head":%d}' % (body, page.reached, head), media_type="application/json")


class FollowedFeed(Response):
    """Sends events as they come, for as long as somebody listens."""

    media_type = "text/event-stream"

    def __init__(self, published: PublishedEvents, after: int, wanted: Wanted) -> None:
        super().__init__()
        self._published = published
        self._after = after
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        pages = self._published.follow(self._after, self._wanted)
        sending = asyncio.create_task(send_pieces(send, [EVENT_STREAM, *NO_BUFFERING], _written(pages)))
        ends = [asyncio.create_task(has_left(receive)), asyncio.create_task(self._published.closed())]
        try:
            await asyncio.wait([sending, *ends], return_when=asyncio.FIRST_COMPLETED)
            if ends[1].done():  # all but those who do not take what is sent to them get the end in time
                await asyncio.wait([sending], timeout=PATIENCE)
        finally:
            await end_tasks(sending, *ends)
        if not sending.cancelled():
            sending.result()


async def _written(pages: AsyncGenerator[PublishedPage]) -> AsyncGenerator[bytes]:
    yield BEGINNING
    told = -1
    try:
        async with aclosing(pages):
            async for page in pages:
                if page.events:
                    yield b"".join(map(_event, page.events))
                    told = page.events[-1].position
                else:
                    yield _nothing_new(page.reached, told)
                    told = page.reached
    except Exception as error:  # the status is out: whatever it was must be said in the stream
        if not isinstance(error, Send2LLMError):
            logger.exception("stream_failed")
        log_unreadable(error)
        yield b"event: error\ndata: " + ErrorView.of(error).problem() + b"\n\n"


def _event(event: PublishedEvent) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.topic.encode(), event.document)


def _nothing_new(reached: int, told: int) -> bytes:
    """A comment, and how far the log was looked through, for a follower that comes again: ``id`` alone is no event."""
    return b": nothing new\n\n" if reached == told else b": nothing new\nid: %d\n\n" % reached


def _storable(text: str | None, name: str) -> str | None:
    if text is not None and "\x00" in text:
        raise InvalidRequest(f"{name} holds a NUL character.", param=name)
    return text
