"""The feed of events."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from send2llm.interfaces.http import views
from send2llm.interfaces.http.dependencies import TheService

LARGEST_PAGE = 1000

router = APIRouter(prefix="/api", tags=["operations"])


@router.get("/events", summary="All events in the order in which they were stored", response_model=None)
async def events(
    service: TheService,
    after: Annotated[int, Query(ge=0, description="The last position that you have seen.")] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    topic: Annotated[str | None, Query(pattern=r"^[\w.]+$", max_length=200)] = None,
) -> Response:
    """Ask again with the last position that you have seen: nothing is ever passed by."""
    recorded = await service.feed.read(after, limit, topic)
    data = [views.event(one, service.event_data(one)) for one in recorded]
    return views.json_response({"data": data, "head": await service.feed.head()})
