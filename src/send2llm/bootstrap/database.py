"""Where the events are, and whether a process can begin there."""

from sqlalchemy.exc import OperationalError

from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import pending
from send2llm.settings import Settings


def database_of(settings: Settings) -> ConnectionInfo:
    """Where the events are; raises ``ConfigurationError`` when no database URL is set."""
    if settings.database_url is None:
        raise ConfigurationError(
            "There is no database: set SEND2LLM_DATABASE_URL, or start the service with `send2llm serve`, "
            "which brings its own."
        )
    return ConnectionInfo.parse(settings.database_url.get_secret_value())


def refuse_old_schema(database: ConnectionInfo) -> None:
    """Raise ``ConfigurationError`` when migrations are missing; blocks."""
    try:
        missing = pending(database)
    except OperationalError as error:
        raise ConfigurationError(f"The database cannot be reached: {error.orig}") from None
    if missing:
        raise ConfigurationError(
            f"The database is not up to date (missing: {', '.join(missing)}). Run `send2llm migrate` first."
        )
