"""``/api/audit``: whether the books agree, and whether the log is what was sealed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import asdict
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request, Response

from send2llm.application.log_verification import Progress
from send2llm.application.moments import Moment
from send2llm.application.money_audit import MoneyAudit
from send2llm.domain.errors import Send2LLMError
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.key_files import key_bytes
from send2llm.infrastructure.log_seals.documents import read_seal, write_seal
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.accepting import Accept, wants_event_stream
from send2llm.interfaces.http.asgi import EVENT_STREAM, NO_BUFFERING, Receive, Scope, Send, has_left, send_pieces
from send2llm.interfaces.http.bodies import VerifyLog
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.errors import CLIENT_CLOSED_REQUEST, ErrorView
from send2llm.interfaces.http.moments import At, moment_of
from send2llm.interfaces.http.strict_route import StrictRoute

logger = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/audit", tags=["audit"], route_class=StrictRoute)


@router.get(
    "/money",
    summary="Compare what conversations spent with what budgets settled",
    response_model=None,
    responses=ends(answers.MoneyAudit, stream=True),
)
async def money(service: TheService, at: At = None, accept: Accept = "") -> Response:
    """Reads the whole log. With `Accept: text/event-stream`, `progress` comes on the way and `done` at the end.

    Everything agrees when `differences` is empty. With `at` the log is read up to there.
    """
    moment = await moment_of(service, at)
    if moment is not None:
        moment.require_events()
    if wants_event_stream(accept):

        async def audit(progress: Progress) -> dict[str, Any]:
            return _shown(await service.audit_money(progress, moment), moment)

        return _Told(audit)
    return views.json_response(_shown(await service.audit_money(moment=moment), moment))


@router.get("/seals", summary="The seals of the log", response_model=None, responses=ends(answers.Seals))
async def seals(
    service: TheService,
    after: Annotated[int, Query(ge=0, description="Only those after this number.")] = 0,
    last: Annotated[int | None, Query(ge=1, description="Only of the last so many there are.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    links: Annotated[bool, Query(description="With the beginning of each event's link: 8 bytes an event.")] = False,
) -> Response:
    """Keep the last one elsewhere: with it, a tail that was cut off together with its seals is noticed.

    There are `more` after the last one here, if it says so.
    """
    page = await service.seals.seals(after, limit, last=last, links=links)
    return views.json_response({"data": [write_seal(seal, links=links) for seal in page.seals], "more": page.more})


@router.post(
    "/log",
    summary="Verify that the log is what was sealed",
    response_model=None,
    responses=ends(answers.LogVerification, 409, stream=True),
)
async def log(service: TheService, body: VerifyLog, request: Request, accept: Accept = "") -> Response:
    """Reads the whole log, one at a time, for as long as its caller waits, in a process of its own.

    With `Accept: text/event-stream`, `progress` comes on the way and `done` at the end. All is well when `fault` is
    empty; else `position` is the first at which the log is not what was sealed.
    """
    trusted = [key_bytes(key, "public_keys") for key in body.public_keys]
    kept = [read_seal(one) for one in body.kept]

    async def verify(progress: Progress) -> dict[str, Any]:
        verification = await service.seals.verify(trusted=trusted, kept=kept, progress=progress)
        return {"intact": not verification.fault, **asdict(verification)}

    if wants_event_stream(accept):
        return _Told(verify)
    working = asyncio.create_task(verify(lambda _done, _all: None))
    await _while_there(request.receive, working)
    if working.cancelled():
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return views.json_response(working.result())


async def _while_there(receive: Receive, working: asyncio.Task[Any]) -> None:
    """Wait until the work is done; it is cancelled when nobody waits for it any more."""
    leaving = asyncio.create_task(has_left(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(working, leaving)


class _Told(Response):
    """The result of some work and its progress on the way, as server-sent events."""

    media_type = "text/event-stream"

    def __init__(self, work: Callable[[Progress], Coroutine[Any, Any, dict[str, Any]]]) -> None:
        super().__init__()
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        sending = asyncio.create_task(send_pieces(send, [EVENT_STREAM, *NO_BUFFERING], _told(self._work)))
        await _while_there(receive, sending)
        if not sending.cancelled():
            sending.result()


async def _told(work: Callable[[Progress], Coroutine[Any, Any, dict[str, Any]]]) -> AsyncGenerator[bytes]:
    """The result of ``work`` with its progress: at most one word of it is on the way."""
    words: asyncio.Queue[tuple[int, int]] = asyncio.Queue(1)

    def progress(position: int, head: int) -> None:
        if not words.full():
            words.put_nowait((position, head))

    working, word = asyncio.create_task(work(progress)), asyncio.create_task(words.get())
    try:
        while not working.done():
            await asyncio.wait({word, working}, return_when=asyncio.FIRST_COMPLETED)
            if word.done():
                position, head = word.result()
                yield _event("progress", {"position": position, "head": head})
                word = asyncio.create_task(words.get())
        yield _event("done", await working)
    except Exception as error:  # the status is out: whatever it was must be said in the stream
        if not isinstance(error, Send2LLMError):
            logger.exception("stream_failed")
        yield b"event: error\ndata: " + ErrorView.of(error).problem() + b"\n\n"
    finally:
        await end_tasks(working, word)


def _shown(audit: MoneyAudit, moment: Moment | None) -> dict[str, Any]:
    return {"agrees": not audit.differences, "as_of": moment and moment.time, **asdict(audit)}


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), views.json_response(data).body)
