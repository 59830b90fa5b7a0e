"""What can be asked of a response afterwards: itself, and its input. Both are told from the events.

https://platform.openai.com/docs/api-reference/responses/get
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from send2llm.application.earlier_answers import AnswerThen, EarlierAnswers
from send2llm.domain.errors import EarlierAnswerNotFound, InvalidRequest
from send2llm.infrastructure.formats.fields import Body
from send2llm.infrastructure.formats.responses import earlier_answer, write_recorded, write_recorded_input
from send2llm.interfaces.http.dependencies import TheContext, TheService
from send2llm.interfaces.http.descriptions import openai_errors
from send2llm.interfaces.http.views import json_response

LARGEST_PAGE = 100

router = APIRouter(tags=["openai"])

_TOLD = openai_errors(400, 401, 404, 413, 500, 503)
_REFUSED = openai_errors(400, 401, 413, 500)


async def _found(service: TheService, context: TheContext, response_id: str) -> AnswerThen:
    name = earlier_answer(response_id)
    if name is None:
        raise EarlierAnswerNotFound(response_id)
    return await EarlierAnswers(service.log).answer(name, tenant=context.tenant)


@router.get(
    "/v1/responses/{response_id}", summary="A response that was given earlier", response_model=None, responses=_TOLD
)
@router.get("/responses/{response_id}", include_in_schema=False, response_model=None)
async def one_response(service: TheService, context: TheContext, response_id: str, *, stream: bool = False) -> Response:
    """As it was given, or how it stands; it is told from the events, whatever `store` said."""
    if stream:
        raise InvalidRequest("An answer that was given already is not streamed again; ask without it.", param="stream")
    return json_response(write_recorded(await _found(service, context, response_id)))


@router.get(
    "/v1/responses/{response_id}/input_items",
    summary="What a response answers",
    response_model=None,
    responses=_TOLD,
)
@router.get("/responses/{response_id}/input_items", include_in_schema=False, response_model=None)
async def input_items(
    service: TheService,
    context: TheContext,
    response_id: str,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Response:
    """All that the model was told, earlier turns included; the latest first unless `order=asc`."""
    items = write_recorded_input(await _found(service, context, response_id))
    return json_response(_page(items if order == "asc" else items[::-1], limit, after))


def _page(items: Sequence[Body], limit: int, after: str | None) -> dict[str, Any]:
    names = [item["id"] for item in items]
    if after is not None:
        if after not in names:
            raise InvalidRequest("There is no item of that id among them.", param="after")
        items = items[names.index(after) + 1 :]
    page = items[:limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"object": "list", "data": list(page), **ends, "has_more": len(items) > limit}


@router.delete(
    "/v1/responses/{response_id}",
    summary="Not supported: nothing is deleted",
    response_model=None,
    responses=_REFUSED,
)
@router.delete("/responses/{response_id}", include_in_schema=False, response_model=None)
async def delete_response(response_id: str) -> Response:
    """An error that says so."""
    raise InvalidRequest(
        f"The response {response_id[:80]!r} stays: it is told from events, and nothing is deleted from an event store. "
        "What was said in a whole conversation can be erased: POST /api/conversations/ID/erase."
    )


@router.post(
    "/v1/responses/{response_id}/cancel",
    summary="Not supported: nothing runs apart",
    response_model=None,
    responses=_REFUSED,
)
@router.post("/responses/{response_id}/cancel", include_in_schema=False, response_model=None)
async def cancel_response(response_id: str) -> Response:
    """An error that says what to do instead."""
    raise InvalidRequest(
        f"The response {response_id[:80]!r} does not run in the background. To end an answer that is coming, close the "
        "connection that it comes by."
    )
