"""``/api/audit``: whether the books agree, and whether the log is what was sealed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from send2llm.application.log_verification import Progress
from send2llm.application.money_audit import MoneyAudit
from send2llm.domain.errors import Send2LLMError
from send2llm.infrastructure.key_files import key_bytes
from send2llm.infrastructure.log_seals.documents import read_seal, write_seal
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.bodies import VerifyLog
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.errors import ErrorView
from send2llm.interfaces.http.moments import At, moment_of
from send2llm.interfaces.http.strict_route import StrictRoute

router = APIRouter(prefix="/api/audit", tags=["audit"], route_class=StrictRoute)


@router.get(
    "/money",
    summary="Compare what conversations spent with what budgets settled",
    response_model=None,
    responses=ends(answers.MoneyAudit, stream=True),
)
async def money(service: TheService, at: At = None, accept: Annotated[str, Header()] = "") -> Response:
    """Reads the whole log. With `Accept: text/event-stream`, `progress` comes on the way and `done` at the end.

    Everything agrees when `differences` is empty. With `at` the log is read up to there.
    """
    moment = await moment_of(service, at)
    if moment is not None:
        moment.require_events()
    if "text/event-stream" in accept:

        async def audit(progress: Progress) -> dict[str, Any]:
            return _shown(await service.audit_money(progress, moment))

        return StreamingResponse(_told(audit), media_type="text/event-stream")
    return views.json_response(_shown(await service.audit_money(moment=moment)))


@router.get("/seals", summary="The seals of the log", response_model=None, responses=ends(answers.Seals))
async def seals(
    service: TheService, after: Annotated[int, Query(ge=0, description="Only those after this number.")] = 0
) -> Response:
    """Keep the last one elsewhere: with it, a tail that was cut off together with its seals is noticed."""
    found = await service.seals.seals(after)
    return views.json_response({"data": [write_seal(seal, links=True) for seal in found]})


@router.post(
    "/log",
    summary="Verify that the log is what was sealed",
    response_model=None,
    responses=ends(answers.LogVerification, stream=True),
)
async def log(service: TheService, body: VerifyLog, accept: Annotated[str, Header()] = "") -> Response:
    """Reads the whole log. With `Accept: text/event-stream`, `progress` comes on the way and `done` at the end.

    All is well when `fault` is empty; else `position` is the first at which the log is not what was sealed.
    """
    trusted = [key_bytes(key, "public_keys") for key in body.public_keys]
    kept = [read_seal(one) for one in body.kept]

    async def verify(progress: Progress) -> dict[str, Any]:
        verification = await service.seals.verify(trusted=trusted, kept=kept, progress=progress)
        return {"intact": not verification.fault, **asdict(verification)}

    if "text/event-stream" in accept:
        return StreamingResponse(_told(verify), media_type="text/event-stream")
    return views.json_response(await verify(lambda _done, _all: None))


async def _told(work: Callable[[Progress], Coroutine[Any, Any, dict[str, Any]]]) -> AsyncGenerator[bytes]:
    """The result of ``work`` with its progress: at most one word of it is on the way."""
    words: asyncio.Queue[tuple[int, int]] = asyncio.Queue(1)

    def progress(position: int, head: int) -> None:
        if not words.full():
            words.put_nowait((position, head))

    working = asyncio.create_task(work(progress))
    try:
        while not working.done():
            word = asyncio.create_task(words.get())
            await asyncio.wait({word, working}, return_when=asyncio.FIRST_COMPLETED)
            if word.done():
                position, head = word.result()
                yield _event("progress", {"position": position, "head": head})
            word.cancel()
        yield _event("done", await working)
    except Send2LLMError as error:
        yield b"event: error\ndata: " + ErrorView.of(error).problem() + b"\n\n"
    finally:
        working.cancel()


def _shown(audit: MoneyAudit) -> dict[str, Any]:
    return {"agrees": not audit.differences, **asdict(audit)}


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), views.json_response(data).body)
