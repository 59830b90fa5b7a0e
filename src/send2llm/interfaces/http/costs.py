"""``/api/costs``: what calls cost, by whatever one wants to know it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from send2llm.application.costs import CostFilter, Group
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.asgi import unless_left
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.moments import At, Rfc3339, moment_of, shown_moment
from send2llm.interfaces.http.strict_route import StrictRoute

router = APIRouter(prefix="/api/costs", tags=["costs"], route_class=StrictRoute)

Groups = Annotated[list[Group], Query(max_length=6, description="One after the other; none: everything together.")]


@router.get("", summary="What calls cost", response_model=None, responses=ends(answers.Costs))
async def report(
    request: Request,
    service: TheService,
    by: Groups = ["provider", "model"],  # noqa: B006 - FastAPI copies defaults
    begin: Annotated[Rfc3339 | None, Query(description="Only attempts begun at this time or later.")] = None,
    end: Annotated[Rfc3339 | None, Query(description="Only attempts begun before this time.")] = None,
    provider: str | None = None,
    model: str | None = None,
    tenant: str | None = None,
    actor: str | None = None,
    time_zone: Annotated[str, Query(description="Whose hours and days.")] = "UTC",
    at: At = None,
) -> Response:
    """Every attempt counts, failed and interrupted ones too. Follows the events within moments.

    With `at` as it would have read then: what became known later does not count.
    """
    moment = await moment_of(service, at)
    costs = service.costs if moment is None else service.reports_as_of.costs(moment)
    matching = CostFilter(begin, end, provider, model, tenant, actor)
    lines = await unless_left(request.receive, costs.costs(by, matching, time_zone))
    return views.json_response({"data": views.report_lines(by, lines), **shown_moment(moment)})
