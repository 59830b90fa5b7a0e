"""``send2llm migrate``."""

from send2llm.interfaces.cli.options import AsJson
from send2llm.interfaces.cli.output import write, write_json


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database's tables up to date; safe while the service runs, and safe to repeat."""
    from send2llm.infrastructure.postgres import ConnectionInfo, EmbeddedPostgres
    from send2llm.infrastructure.read_models.migration import migrate as bring_up_to_date
    from send2llm.interfaces.serving.logs import log_as_set
    from send2llm.settings import load_settings

    settings = load_settings()
    log_as_set(settings)
    if settings.database_url is not None:
        applied = bring_up_to_date(ConnectionInfo.parse(settings.database_url.get_secret_value()))
    else:
        with EmbeddedPostgres(settings.data_dir) as postgres:
            applied = bring_up_to_date(postgres.connection_info)
    if as_json:
        write_json({"applied": applied})
    else:
        write("The database is up to date.\n")
