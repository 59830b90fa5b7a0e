"""``/api/projections``: how the read models stand, and what can be done with their builds."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from send2llm.application.projections import BuildName
from send2llm.domain.errors import InvalidRequest
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.dependencies import TheContext, TheService
from send2llm.interfaces.http.descriptions import ends, problems
from send2llm.interfaces.http.strict_route import StrictRoute

router = APIRouter(prefix="/api/projections", tags=["projections"], route_class=StrictRoute)

Name = Annotated[str, Path(pattern=r"^[a-z0-9_]+$", max_length=60)]
BuildOf = Annotated[
    str | None, Query(alias="build", max_length=20, description="Version and number of a build, such as 2.1.")
]

_BUILD = re.compile(r"(\d{1,9})\.(\d{1,9})")


class SkipEvent(BaseModel):
    """Leave out the event at which a build failed."""

    model_config = ConfigDict(extra="forbid")

    position: int = Field(ge=1)


@router.get("", summary="How far the read models are", response_model=None, responses=ends(answers.Projections))
async def list_projections(service: TheService) -> dict[str, Any]:
    """One line for each build; `lag_events` counts what is stored and not yet folded."""
    return {"data": [views.projection(status) for status in await service.projection_statuses.all()]}


@router.post(
    "/{name}/rebuild",
    status_code=202,
    summary="Build it anew beside the live build",
    response_model=None,
    responses=ends(answers.Projection, 404, 409, status=202),
)
async def rebuild(service: TheService, name: Name) -> dict[str, Any]:
    """The live one is read and kept up to date meanwhile; the new one takes its place when it has caught up."""
    return views.projection(await service.projection_builds.rebuild(name))


@router.post(
    "/{name}/verify",
    status_code=202,
    summary="Fold from zero and compare with the live build",
    response_model=None,
    responses=ends(answers.Projection, 404, 409, status=202),
)
async def verify(service: TheService, name: Name) -> dict[str, Any]:
    """The build's `role` becomes `verified`, or `different` with what is different in `error`."""
    return views.projection(await service.projection_builds.verify(name))


@router.post(
    "/{name}/swap", summary="Read what was built", response_model=None, responses=ends(answers.Projection, 404, 409)
)
async def swap(service: TheService, name: Name, build: BuildOf = None) -> dict[str, Any]:
    """It has to have caught up; what was read stays for a rollback until it is dropped."""
    return views.projection(await service.projection_builds.swap(name, _build(build)))


@router.post(
    "/{name}/rollback",
    summary="Read what was read before",
    response_model=None,
    responses=ends(answers.Projection, 404, 409),
)
async def rollback(service: TheService, name: Name) -> dict[str, Any]:
    """The build that is read now stays."""
    return views.projection(await service.projection_builds.rollback(name))


@router.delete(
    "/{name}/builds/{build}", status_code=204, summary="Remove a build that is not live", responses=problems(404, 409)
)
async def drop(service: TheService, name: Name, build: Annotated[str, Path(max_length=20)]) -> None:
    """With its tables; they can be folded from the events again."""
    wanted = _build(build)
    if wanted is not None:
        await service.projection_builds.drop(name, wanted)


@router.delete("/{name}", status_code=204, summary="Remove a projection that nobody runs", responses=problems(404, 409))
async def remove(service: TheService, name: Name) -> None:
    """All its builds, with tables and views; a service that has it in its configuration builds it anew."""
    await service.projection_builds.remove(name)


@router.post(
    "/{name}/pause",
    summary="Let a build stand still",
    response_model=None,
    responses=ends(answers.Projection, 404, 409),
)
async def pause(service: TheService, name: Name, build: BuildOf = None) -> dict[str, Any]:
    """The live one, unless another is named."""
    return views.projection(await service.projection_builds.pause(name, _build(build)))


@router.post(
    "/{name}/resume", summary="Let a build go on", response_model=None, responses=ends(answers.Projection, 404, 409)
)
async def resume(service: TheService, name: Name, build: BuildOf = None) -> dict[str, Any]:
    """The live one, unless another is named."""
    return views.projection(await service.projection_builds.resume(name, _build(build)))


@router.post(
    "/{name}/retry",
    summary="Let a build that failed try again",
    response_model=None,
    responses=ends(answers.Projection, 404, 409),
)
async def retry(service: TheService, name: Name, build: BuildOf = None) -> dict[str, Any]:
    """When what was wrong has been mended."""
    return views.projection(await service.projection_builds.retry(name, _build(build)))


@router.post(
    "/{name}/skip",
    summary="Leave out the event at which a build failed",
    response_model=None,
    responses=ends(answers.Projection, 404, 409),
)
async def skip(
    service: TheService, context: TheContext, name: Name, body: SkipEvent, build: BuildOf = None
) -> dict[str, Any]:
    """In all builds of its version, for ever; who did that is recorded."""
    return views.projection(await service.projection_builds.skip(name, body.position, context.actor, _build(build)))


def _build(text: str | None) -> BuildName | None:
    if text is None:
        return None
    match = _BUILD.fullmatch(text)
    if match is None:
        raise InvalidRequest("build is a version and a number, such as 2.1.", param="build")
    return BuildName(int(match[1]), int(match[2]))
