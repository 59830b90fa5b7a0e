"""The providers."""

from fastapi import APIRouter, Response

from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.strict_route import StrictRoute
from send2llm.interfaces.provider_views import provider_view

router = APIRouter(prefix="/api", tags=["operations"], route_class=StrictRoute)


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
