"""Builds of projections are begun, swapped in, rolled back, dropped and paused, whatever else happens."""

import random
from collections import Counter
from collections.abc import Callable

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from send2llm.application.projections import BuildName
from send2llm.domain.errors import ProjectionConflict, ProjectionNotFound
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.projections import builds, swaps
from send2llm.infrastructure.projections.checkpoints import Build, builds_of

NAMES = ("history", "cost_ledger", "usage", "trail", "seen")


class Meddler:
    """Does what people do, at random."""

    def __init__(self, database: ConnectionInfo, chance: random.Random) -> None:
        self._engine: Engine = create_engine(database.sqlalchemy_url, poolclass=NullPool)
        self._chance = chance
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        """Builds that were compared on the way, and were different."""

    def meddle(self) -> None:
        """Do one thing to one projection, if that can be done."""
        name = self._chance.choice(NAMES)
        what = self._chance.choice(["rebuild", "verify", "swap", "rollback", "drop", "pause", "tidy"])
        if self._do(what, name):
            self.done[what] += 1

    def bring_to_rest(self, name: str) -> bool:
        """Keep only the live build of a projection, running; whether that is so."""

        def work(connection: Connection) -> bool:
            for build in builds_of(connection, name):
                if build.role == "live":
                    builds.set_paused(connection, name, None, paused=False)
                else:
                    self._remember(build)
                    builds.drop(connection, name, BuildName(build.version, build.build))
            return True

        return self._try(work)

    def verify(self, name: str) -> bool:
        """Begin a comparison."""
        return self._try(lambda connection: bool(builds.begin_build(connection, name, "verifying")))

    def verdict(self, name: str) -> str | None:
        """What a comparison found, ``None`` while it is under way."""
        with self._engine.begin() as connection:
            for build in builds_of(connection, name):
                if build.role in ("verified", "different"):
                    return f"{build.role}: {build.reason}" if build.reason else build.role
                if build.reason is not None:
                    return f"failed: {build.reason}"
        return None

    def value(self, query: str) -> int:
        """One number."""
        with self._engine.begin() as connection:
            found: int = connection.execute(text(query)).scalar_one()
            return found

    def _do(self, what: str, name: str) -> bool:
        def work(connection: Connection) -> bool:
            others = [build for build in builds_of(connection, name) if build.role != "live"]
            match what:
                case "rebuild":
                    builds.begin_build(connection, name, "building")
                case "verify":
                    builds.begin_build(connection, name, "verifying")
                case "swap":
                    swaps.swap(connection, name)
                case "rollback":
                    swaps.rollback(connection, name)
                case "pause":
                    builds.set_paused(connection, name, None, paused=self._chance.random() < 0.3)
                case "tidy":
                    for build in others:
                        if build.role in ("verified", "different"):
                            self._drop(connection, build)
                case "drop" if others:
                    self._drop(connection, self._chance.choice(others))
                case _:
                    return False
            return True

        return self._try(work)

    def _drop(self, connection: Connection, build: Build) -> None:
        self._remember(build)
        builds.drop(connection, build.name, BuildName(build.version, build.build))

    def _remember(self, build: Build) -> None:
        if build.reason is not None and not _is_held_up(build):
            self.wrong.append(f"{build.name} {build.label} is {build.role}: {build.reason}")

    def _try(self, work: Callable[[Connection], bool]) -> bool:
        """In one transaction; False when the build is in no state for it, or the database is not there."""
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except (ProjectionConflict, ProjectionNotFound, SQLAlchemyError):
            return False


def _is_held_up(build: Build) -> bool:
    """Whether a verification ended because the live build was paused meanwhile: nothing is wrong then."""
    return build.role == "verifying" and (build.reason or "").startswith(ProjectionConflict.__name__)
