"""Which processes run on a PostgreSQL data folder.

The pid in ``postmaster.pid`` alone proves nothing: after a crash it may belong to anybody.
A server's processes are known by their name and their working folder, which is always the data folder.
"""

from pathlib import Path

import psutil

_POSTMASTER_FILE = "postmaster.pid"


def recorded_postmaster(cluster: Path) -> int | None:
    """The pid that ``postmaster.pid`` names, or None when there is no such file or it is cut off."""
    try:
        # Bytes: the second line is the folder's path, in any encoding.
        return int((cluster / _POSTMASTER_FILE).read_bytes().partition(b"\n")[0])
    except (FileNotFoundError, ValueError):
        return None


def forget_postmaster(cluster: Path, socket: Path) -> None:
    """Remove what a dead server left to show that it runs.

    PostgreSQL would refuse to start when the pid in there is in use: by an unrelated process, or by the dead
    server itself until its parent has taken note.
    """
    (cluster / _POSTMASTER_FILE).unlink(missing_ok=True)
    socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)


def server_processes(cluster: Path) -> list[psutil.Process]:
    """The living processes of the server on ``cluster``, the postmaster among them if it lives."""
    return [process for process in psutil.process_iter() if _belongs_to(process, cluster)]


def _belongs_to(process: psutil.Process, cluster: Path) -> bool:
    try:
        return (
            process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == cluster
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
