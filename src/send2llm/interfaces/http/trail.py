"""``GET /api/audit/trail``: everything that happened to one thing."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response

from send2llm.application.published_events import PublishedEvent
from send2llm.application.trail import Subject, SubjectKind, without_texts
from send2llm.domain.errors import InvalidRequest
from send2llm.infrastructure.feed.documents import encode_document
from send2llm.interfaces.http import answers
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.moments import At, moment_of
from send2llm.interfaces.http.strict_route import StrictRoute

LARGEST_PAGE = 1000

router = APIRouter(prefix="/api/audit", tags=["audit"], route_class=StrictRoute)

Id = Annotated[UUID | None, Query()]
Name = Annotated[str | None, Query(min_length=1, max_length=255)]


@router.get(
    "/trail",
    summary="Everything about a conversation, call, request, actor or budget",
    response_model=None,
    responses=ends(answers.Trail),
)
async def trail(
    service: TheService,
    conversation: Id = None,
    completion: Annotated[UUID | None, Query(description="A call.")] = None,
    correlation: Annotated[UUID | None, Query(description="A request, by the id that its caller was told.")] = None,
    idempotency_key: Name = None,
    actor: Name = None,
    budget: Id = None,
    tenant: Annotated[str | None, Query(max_length=200, description="Only its events; whose the key is.")] = None,
    after: Annotated[int, Query(ge=0, description="Only events after this position.")] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 200,
    texts: Annotated[bool, Query(description="With what was said.")] = False,
    at: At = None,
) -> Response:
    """Name exactly one thing. What was said, and other words of callers, is left out unless `texts` is true."""
    given: dict[SubjectKind, UUID | str | None] = {
        "conversation": conversation,
        "completion": completion,
        "correlation": correlation,
        "idempotency_key": idempotency_key,
        "actor": actor,
        "budget": budget,
    }
    named = [Subject(kind, str(name), tenant) for kind, name in given.items() if name is not None]
    if len(named) != 1:
        raise InvalidRequest(f"Name one of {', '.join(given)}: a trail is that of one thing.")
    for name, text in (("tenant", tenant), (named[0].kind, named[0].name)):
        if text is not None and "\x00" in text:
            raise InvalidRequest(f"{name} holds a NUL character.", param=name)
    moment = await moment_of(service, at)
    page = await service.trails.page(named[0], after, limit, None if moment is None else moment.position)
    data = b",".join([_shown(event, texts) for event in page.events])
    rest = (page.reached, b"true" if page.more else b"false", page.known_to)
    body = b'{"data":[%s],"reached":%d,"more":%s,"known_to":%d}' % (data, *rest)
    return Response(body, media_type="application/json")


def _shown(event: PublishedEvent, texts: bool) -> bytes:
    document: dict[str, Any] = orjson.loads(event.document)
    left_out: list[str] = []
    if not texts:
        document["data"], left_out = without_texts(event.topic, document["data"])
    return encode_document({**document, "left_out": left_out})
