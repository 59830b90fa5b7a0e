"""The feed of events, and the providers."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.strict_route import StrictRoute
from send2llm.interfaces.provider_views import provider_view

LARGEST_PAGE = 1000

router = APIRouter(prefix="/api", tags=["operations"], route_class=StrictRoute)


@router.get(
    "/events",
    summary="All events in the order in which they were stored",
    response_model=None,
    responses=ends(answers.Feed),
)
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


@router.get(
    "/providers",
    summary="The configured providers",
    response_model=None,
    responses=ends(answers.ConfiguredProviders),
)
async def providers(service: TheService) -> Response:
    """What each can, what its listed models cost, and how it did in the last hour."""
    healths = await service.provider_healths()
    data = [
        provider_view(service.providers.get(name), configured, service.prices, healths.get(name))
        for name, configured in service.settings.providers.items()
    ]
    return views.json_response({"data": data})
