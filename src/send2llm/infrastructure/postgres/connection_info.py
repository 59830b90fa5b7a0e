"""Where a PostgreSQL database is, in the shapes that its users want."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from send2llm.domain.errors import ConfigurationError

DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One database of one PostgreSQL server.

    ``host`` is a name, an address, or the absolute path of the folder that holds the server's Unix socket.
    ``parameters`` are further libpq parameters, such as ``sslmode``.
    """

    host: str
    dbname: str
    user: str
    port: int = DEFAULT_PORT
    password: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, conninfo: str) -> Self:
        """Read a libpq URL or keyword string, also one with a SQLAlchemy driver (``postgresql+psycopg://``).

        Raises ConfigurationError, without the password, when it is neither.
        """
        scheme, separator, rest = conninfo.partition("://")
        plain = f"{scheme.partition('+')[0]}://{rest}" if separator else conninfo
        try:
            known = {name: str(value) for name, value in conninfo_to_dict(plain).items() if value is not None}
            port = int(known.pop("port", "") or DEFAULT_PORT)
        except (psycopg.ProgrammingError, ValueError):
            raise ConfigurationError(
                "The database URL is not one that PostgreSQL understands. "
                "It should look like postgresql://user:password@host:5432/dbname."
            ) from None
        user = known.pop("user", "") or "postgres"
        return cls(
            host=known.pop("host", "") or "localhost",
            dbname=known.pop("dbname", "") or user,
            user=user,
            port=port,
            password=known.pop("password", ""),
            parameters=known,
        )

    @property
    def dsn(self) -> str:
        """The libpq URL, for ``psycopg.connect`` and for ``SEND2LLM_DATABASE_URL``."""
        return self._url("postgresql")

    @property
    def sqlalchemy_url(self) -> str:
        """The URL for SQLAlchemy with the psycopg driver."""
        return self._url("postgresql+psycopg")

    def with_database(self, dbname: str) -> Self:
        """The same server, another database."""
        return replace(self, dbname=dbname)

    def _url(self, scheme: str) -> str:
        login = quote(self.user, safe="")
        if self.password:
            login += ":" + quote(self.password, safe="")
        # The host goes into the query, because a socket folder cannot stand in a URL's authority.
        query = {"host": self.host, "port": str(self.port), **self.parameters}
        return f"{scheme}://{login}@/{quote(self.dbname, safe='')}?{urlencode(query, quote_via=quote)}"
