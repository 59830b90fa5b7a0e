"""One set of metrics for several worker processes.

Each worker writes its numbers to memory-mapped files in a directory that all workers of one instance share,
and any of them can answer a scrape for all. The process that starts the workers::

    directory = prepare_multiprocess_directory(data_directory)
    environment = {**os.environ, MULTIPROCESS_VARIABLE: str(directory)}  # for the workers
    ...
    mark_process_dead(pid, directory)  # whenever a worker has ended

The variable must be in a worker's environment before it imports ``prometheus_client``, which is why this
module imports it late. Without the variable a process counts for itself alone.
"""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres.file_lock import FileLock

MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which ``prometheus_client`` finds the directory."""

_LOCK = "in-use.lock"
_PREFIX = "instance-"

_held: list[FileLock] = []  # kept until the process ends, and released by its end, however it comes


def prepare_multiprocess_directory(data_directory: Path) -> Path:
    """Make a fresh directory for the workers of this instance, and remove those that nobody uses any more.

    Each instance has a directory of its own, so that a second one on the same data folder neither wipes nor
    mixes with the numbers of the first. It is in use as long as this process, or a worker that ``hold``s it,
    is alive.
    """
    parent = data_directory / "metrics"
    parent.mkdir(parents=True, exist_ok=True)
    with FileLock(parent / "prepare.lock"):  # so that nobody removes a directory that is not held yet
        for abandoned in parent.glob(f"{_PREFIX}*"):
            lock = FileLock(abandoned / _LOCK)
            if lock.try_acquire_exclusive():
                shutil.rmtree(abandoned, ignore_errors=True)
                lock.release()
        directory = Path(mkdtemp(prefix=_PREFIX, dir=parent))
        hold(directory)
    return directory


def hold(directory: Path) -> None:
    """Keep the directory from being removed while this process lives."""
    lock = FileLock(directory / _LOCK)
    lock.acquire_shared()
    _held.append(lock)


def shared_directory() -> Path | None:
    """The directory that this process counts in, ``None`` when it counts for itself alone.

    Raises ``ConfigurationError`` when the variable names no directory.
    """
    path = os.environ.get(MULTIPROCESS_VARIABLE)
    if not path:
        return None
    if not Path(path).is_dir():
        raise ConfigurationError(f"{MULTIPROCESS_VARIABLE} names {path}, which is no directory; unset the variable.")
    return Path(path)


def mark_process_dead(pid: int, directory: Path) -> None:
    """A worker has ended: forget its present state (calls in flight); what it has counted stays."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - late, see the module's text

    multiprocess.mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]
