"""Versions that nobody can run any more, because a newer one was begun and they have no tables."""

from collections.abc import Sequence

from sqlalchemy import NullPool, create_engine

from send2llm.application.projections import Projection
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres.connection_info import ConnectionInfo
from send2llm.infrastructure.projections.checkpoints import WORKED_ON, Build, builds_of


def refuse_overtaken(database: ConnectionInfo, projections: Sequence[Projection]) -> None:
    """Raise ``ConfigurationError`` for a projection that nothing would be done for, in none of its versions; blocks.

    An older version is run for as long as it has a build, so that one can go back to it.
    """
    versions: dict[str, set[int]] = {}
    for projection in projections:
        versions.setdefault(projection.name, set()).add(projection.version)
    engine = create_engine(database.sqlalchemy_url, poolclass=NullPool, hide_parameters=True)
    with engine.begin() as connection:
        for name, given in versions.items():
            _refuse(name, max(given), given, builds_of(connection, name))


def _refuse(name: str, newest: int, given: set[int], builds: Sequence[Build]) -> None:
    begun = max((build.version for build in builds), default=0)
    if newest < begun and not any(build.version in given and build.role in WORKED_ON for build in builds):
        raise ConfigurationError(
            f"Version {newest} of {name} is not run: there is a version {begun} of it, and none of {newest}. Raise the "
            f"version above {begun}, or give the projection another name."
        )
