"""A lock between processes which the operating system releases when its holder dies."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class FileLock:
    """An advisory ``flock`` on a file, shared or exclusive.

    Each instance has its own open file, so two instances in one process exclude each other too. Python opens
    files non-inheritable: a child program never keeps the lock of a dead parent.
    Locks hold between the processes of one machine; a data folder on a network share is not supported.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this instance holds the lock."""
        return self._descriptor is not None

    def acquire_shared(self) -> None:
        """Wait until nobody holds the lock exclusively, then hold it with others."""
        self._acquire(fcntl.LOCK_SH)

    def acquire_exclusive(self) -> None:
        """Wait until nobody else holds the lock, then hold it alone."""
        self._acquire(fcntl.LOCK_EX)

    def try_acquire_exclusive(self) -> bool:
        """Hold the lock alone, unless somebody else holds it now."""
        try:
            self._acquire(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go of the lock; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _acquire(self, operation: int) -> None:
        if self._descriptor is not None:
            raise RuntimeError(f"{self._path} is locked already by this object")
        # The file stays when it is free: deleting it would let two holders lock two files of one name.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, operation)
        except BaseException:  # also when it is cut off: the descriptor must not stay open
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        self.acquire_exclusive()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
