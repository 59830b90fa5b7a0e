"""How builds stand, in the few words that the tests of them compare."""

from send2llm.application.projections import BuildName, ProjectionStatus
from send2llm.infrastructure.projections.status import PostgresProjections


async def by_label(statuses: PostgresProjections) -> dict[str, ProjectionStatus]:
    return {f"{status.version}.{status.build}": status for status in await statuses.all()}


async def roles(statuses: PostgresProjections) -> dict[str, str]:
    return {label: status.role for label, status in (await by_label(statuses)).items()}


def name_of(status: ProjectionStatus) -> BuildName:
    return BuildName(status.version, status.build)


async def has_failed(statuses: PostgresProjections, label: str) -> bool:
    return (await by_label(statuses))[label].state == "failed"


async def stand_as(statuses: PostgresProjections, wanted: dict[str, str]) -> bool:
    return await roles(statuses) == wanted


async def has_role(statuses: PostgresProjections, label: str, role: str) -> bool:
    return (await roles(statuses)).get(label) == role
