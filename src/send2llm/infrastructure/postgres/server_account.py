"""The operating-system account that PostgreSQL's programs run as."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from send2llm.domain.errors import ConfigurationError

SERVER_ACCOUNT = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program ended, and all that it printed."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """An account for PostgreSQL: the caller's own, except for root, as whom PostgreSQL refuses to run."""

    uid: int
    gid: int

    @classmethod
    def for_folder(cls, folder: Path) -> Self:
        """The account that may run a server on ``folder``, which need not exist yet.

        For root it is the folder's owner, so that ``sudo`` on an ordinary user's folder changes nothing
        in it; for a new folder it is an account of the server's own, made when it is missing.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        if folder.exists() and (owner := folder.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        entry = _find_or_make_account(SERVER_ACCOUNT)
        return cls(entry.pw_uid, entry.pw_gid)

    @property
    def is_other(self) -> bool:
        """Whether programs must change their user, which only root can do."""
        return self.uid != os.geteuid()

    @property
    def name(self) -> str:
        """The login name, or the number of an account that has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ProgramResult:
        """Run a program to its end, in a session of its own: Ctrl-C must not reach a server that others use.

        Raises OSError when it cannot be run at all, and subprocess.TimeoutExpired after ``timeout`` seconds.
        """
        # A file, not a pipe: a server that stays in the background would hold the pipe open.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            completed = subprocess.run(  # noqa: S603 - our own words, and no shell
                [str(argument) for argument in arguments],
                cwd=cwd,
                env={**_clean_environment(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                start_new_session=True,
                umask=0o077,
                user=self.uid if self.is_other else None,
                group=self.gid if self.is_other else None,
                extra_groups=[] if self.is_other else None,
                check=False,
            )
            output.seek(0)
            return ProgramResult(completed.returncode, output.read().strip())

    def can_run(self, program: Path) -> bool:
        """Whether the account reaches the program and the libraries that it needs."""
        try:
            return self.run([program, "--version"], cwd=Path("/")).status == 0
        except OSError:
            return False

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can make ``folder`` its working folder."""
        return self.run(["/bin/sh", "-c", 'cd "$1"', "sh", folder], cwd=Path("/")).status == 0


def _clean_environment() -> dict[str, str]:
    """This process's environment without libpq's variables, which would redirect PostgreSQL's programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _find_or_make_account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", name]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - as above
        reason = made.stderr.strip()
    except OSError as error:
        reason = str(error)
    try:
        # Also after a failure: another process may have made it at the same moment.
        return pwd.getpwnam(name)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and the account {name!r} could not be made ({reason}). "
            f"Make it (useradd --system {name}), run Send2LLM as an ordinary user, "
            "or set SEND2LLM_DATABASE_URL to a PostgreSQL of your own."
        ) from None
