"""``/api/audit``: whether the books agree."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse

from send2llm.application.money_audit import AuditMoney, MoneyAudit
from send2llm.domain.errors import Send2LLMError
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.errors import ErrorView
from send2llm.interfaces.http.strict_route import StrictRoute

router = APIRouter(prefix="/api/audit", tags=["audit"], route_class=StrictRoute)


@router.get(
    "/money",
    summary="Compare what conversations spent with what budgets settled",
    response_model=None,
    responses=ends(answers.MoneyAudit, stream=True),
)
async def money(service: TheService, accept: Annotated[str, Header()] = "") -> Response:
    """Reads the whole log. With `Accept: text/event-stream`, `progress` comes on the way and `done` at the end.

    Everything agrees when `differences` is empty.
    """
    if "text/event-stream" in accept:
        return StreamingResponse(_told(service.audit_money), media_type="text/event-stream")
    return views.json_response(_shown(await service.audit_money()))


async def _told(audit: AuditMoney) -> AsyncGenerator[bytes]:
    """The audit with its progress: at most one word of it is on the way."""
    words: asyncio.Queue[tuple[int, int]] = asyncio.Queue(1)

    def progress(position: int, head: int) -> None:
        if not words.full():
            words.put_nowait((position, head))

    auditing = asyncio.create_task(audit(progress))
    try:
        while not auditing.done():
            word = asyncio.create_task(words.get())
            await asyncio.wait({word, auditing}, return_when=asyncio.FIRST_COMPLETED)
            if word.done():
                position, head = word.result()
                yield _event("progress", {"position": position, "head": head})
            word.cancel()
        yield _event("done", _shown(await auditing))
    except Send2LLMError as error:
        yield b"event: error\ndata: " + ErrorView.of(error).problem() + b"\n\n"
    finally:
        auditing.cancel()


def _shown(audit: MoneyAudit) -> dict[str, Any]:
    return {"agrees": not audit.differences, **asdict(audit)}


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), views.json_response(data).body)
