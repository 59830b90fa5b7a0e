"""How far a build has come: held, moved and told by the runner that works on it, in the transactions of its folds."""

from sqlalchemy import Connection, func, select

from send2llm.application.projections import BuildRole
from send2llm.infrastructure.projections.checkpoints import WORKED_ON, BuildKey, checkpoints, is_build, skips


class CheckpointMoved(Exception):
    """The position is not the one that this runner left: somebody else works on the projection, or it is gone."""


class BuildIsPaused(Exception):
    """Somebody wants the build to stand still."""


class Checkpoint:
    """The row of one build. No method commits."""

    def __init__(self, key: BuildKey) -> None:
        self.key = key
        self.role: BuildRole = "live"
        """As it was when the position was moved the last time."""
        self._here = is_build(key)

    def begin(self, connection: Connection) -> int:
        """Give the position; raises CheckpointMoved when the build is gone.

        From here on the row is that of this build, and not of one that is begun with the same number after a drop.
        """
        wanted = select(checkpoints.c.position, checkpoints.c.role, checkpoints.c.created_at)
        begun = connection.execute(wanted.where(is_build(self.key))).one_or_none()
        if begun is None:
            raise CheckpointMoved(f"{self} was dropped.")
        self._here = is_build(self.key) & (checkpoints.c.created_at == begun.created_at)
        self.role = begun.role
        position: int = begun.position
        return position

    def is_worked_on(self, connection: Connection) -> bool:
        """Whether it is there, and is to be kept up to date."""
        here = select(checkpoints.c.name).where(self._here, checkpoints.c.role.in_(WORKED_ON))
        return connection.execute(here).one_or_none() is not None

    def hold(self, connection: Connection, position: int) -> None:
        """See, before anything is folded, that the build is there and at ``position``; nobody changes that meanwhile.

        Without it a fold could meet no table of its own, and find one of the same name in the usual place. Raises
        CheckpointMoved and BuildIsPaused, as ``advance`` does.
        """
        held = connection.execute(
            select(checkpoints.c.paused)
            .where(self._here, checkpoints.c.position == position, checkpoints.c.role.in_(WORKED_ON))
            .with_for_update(key_share=True)
        ).one_or_none()
        if held is None:
            raise CheckpointMoved(f"{self} is no longer worked on at position {position}.")
        if held.paused:
            raise BuildIsPaused

    def lock(self, connection: Connection) -> None:
        """Let nobody change the build before the transaction ends."""
        connection.execute(select(checkpoints.c.position).where(self._here).with_for_update(key_share=True))

    def advance(self, connection: Connection, before: int, after: int, rate: float) -> None:
        """Move from ``before`` to ``after``.

        Raises CheckpointMoved when the position is not ``before`` or the build is gone, BuildIsPaused when it shall
        not move.
        """
        moved = connection.execute(
            checkpoints.update()
            .where(self._here, checkpoints.c.position == before)
            .values(position=after, rate=rate, updated_at=func.now())
            .returning(checkpoints.c.role, checkpoints.c.paused)
        ).one_or_none()
        if moved is None:
            raise CheckpointMoved(f"{self} is no longer at position {before}.")
        if moved.paused:
            raise BuildIsPaused
        self.role = moved.role

    def fail(self, connection: Connection, reason: str, position: int | None) -> None:
        """Say why the build stands still, and at which event."""
        connection.execute(
            checkpoints.update()
            .where(self._here)
            .values(reason=reason, failed_position=position, updated_at=func.now())
        )

    def forget_failure(self, connection: Connection) -> None:
        """Say nothing of an earlier failure any more."""
        connection.execute(checkpoints.update().where(self._here).values(reason=None, failed_position=None))

    def failed(self, connection: Connection) -> bool:
        """Whether the failure stands; ``retry`` and ``skip`` take it away. A build that is gone has none."""
        return bool(connection.execute(select(checkpoints.c.reason.is_not(None)).where(self._here)).scalar())

    def paused(self, connection: Connection) -> bool:
        """Whether it shall stand still; raises CheckpointMoved when the build is gone."""
        row = connection.execute(select(checkpoints.c.paused, checkpoints.c.role).where(self._here)).one_or_none()
        if row is None:
            raise CheckpointMoved(f"{self} was dropped.")
        self.role = row.role
        return bool(row.paused)

    def skipped(self, connection: Connection) -> frozenset[int]:
        """The positions of events that are left out."""
        left_out = select(skips.c.position).where(skips.c.name == self.key.name, skips.c.version == self.key.version)
        return frozenset(connection.execute(left_out).scalars())

    def __str__(self) -> str:
        return f"The projection {self.key.name} v{self.key.version}, build {self.key.build},"
