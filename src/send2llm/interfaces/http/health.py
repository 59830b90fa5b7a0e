"""Whether the service lives, and whether it can do its work."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from send2llm.interfaces.http.dependencies import TheService
from send2llm.interfaces.http.descriptions import problems

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="The process lives", responses=problems(413))
async def healthz() -> dict[str, str]:
    """Needs no key."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="The service can store events and reach its configuration",
    responses={503: {"description": "Something is missing; `checks` says what."}, **problems(413)},
)
async def readyz(service: TheService, response: Response) -> dict[str, object]:
    """503 when something is missing, and what. Needs no key."""
    checks = await service.readiness()
    ready = all(found == "ok" for found in checks.values())
    response.status_code = 200 if ready else 503
    return {"status": "ok" if ready else "not ready", "checks": checks}


@router.get(
    "/metrics",
    summary="Metrics in the Prometheus text format",
    response_class=PlainTextResponse,
    responses=problems(401, 413),
)
async def metrics(service: TheService) -> Response:
    """Of all workers together."""
    body, media_type = await service.metrics_page()
    return Response(body, media_type=media_type)
