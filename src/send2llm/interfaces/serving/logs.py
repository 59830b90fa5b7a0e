"""Logging of the service's processes, by its settings."""

from send2llm.infrastructure.telemetry.logging import configure_logging
from send2llm.settings import Settings


def log_as_set(settings: Settings) -> None:
    """Set up logging; none of the secrets in the settings is ever shown."""
    configure_logging(
        settings.log.level,
        json=None if settings.log.format == "auto" else settings.log.format == "json",
        levels=settings.log.levels,
        secrets=settings.secrets,
    )
