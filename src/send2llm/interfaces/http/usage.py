"""``/api/usage``: how much was asked, by whom, and how models answered."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from send2llm.application.costs import CostFilter
from send2llm.application.usage import UsageGroup
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.asgi import unless_left
from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.moments import At, Rfc3339, moment_of, shown_moment
from send2llm.interfaces.http.strict_route import StrictRoute

router = APIRouter(prefix="/api/usage", tags=["usage"], route_class=StrictRoute)

Groups = Annotated[list[UsageGroup], Query(max_length=6, description="One after the other; none: everything together.")]
Begin = Annotated[Rfc3339 | None, Query(description="Only what was begun at this time or later: a quarter of an hour.")]
End = Annotated[Rfc3339 | None, Query(description="Only what was begun before this time: a quarter of an hour.")]


@router.get(
    "", summary="Calls, tokens, failures and durations", response_model=None, responses=ends(answers.UsageReport)
)
async def report(
    request: Request,
    service: TheService,
    by: Groups = ["provider", "model"],  # noqa: B006 - FastAPI copies defaults
    begin: Begin = None,
    end: End = None,
    provider: str | None = None,
    model: str | None = None,
    tenant: str | None = None,
    actor: str | None = None,
    time_zone: Annotated[str, Query(description="Whose hours and days.")] = "UTC",
    at: At = None,
) -> Response:
    """Everything counts at the time at which its attempt began. Follows the events within moments.

    With `at` as it would have read then: what became known later does not count.
    """
    moment = await moment_of(service, at)
    usage = service.usage if moment is None else service.reports_as_of.usage(moment)
    matching = CostFilter(begin, end, provider, model, tenant, actor)
    lines = await unless_left(request.receive, usage.usage(by, matching, time_zone))
    return views.json_response({"data": views.report_lines(by, lines), **shown_moment(moment)})
