"""``send2llm migrate``."""

from send2llm.interfaces.cli.database import opened_database
from send2llm.interfaces.cli.options import AsJson
from send2llm.interfaces.cli.output import write, write_json


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database's tables up to date; safe while the service runs, and safe to repeat."""
    from send2llm.infrastructure.read_models.migration import migrate as bring_up_to_date
    from send2llm.interfaces.serving.logs import log_as_set
    from send2llm.settings import load_settings

    settings = load_settings()
    log_as_set(settings)
    with opened_database(settings) as database:
        applied = bring_up_to_date(database)
    if as_json:
        write_json({"applied": applied})
    else:
        write("The database is up to date.\n")
