"""Options of reports: of which time, and whose."""

from typing import Annotated

import typer

from send2llm.interfaces.cli.errors import CommandFailed

Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only what was begun at this time or later: 2026-11-23, or 2026-11-23T12:00."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only what was begun before this time.")]
Provider = Annotated[str | None, typer.Option(help="Only those at this provider.")]
Model = Annotated[str | None, typer.Option(help="Only those of this model.")]
Tenant = Annotated[str | None, typer.Option(help="Only those of this tenant.")]
Actor = Annotated[str | None, typer.Option(help="Only those of this key.")]
Zone = Annotated[str, typer.Option("--zone", help="Whose days and times, such as Europe/Berlin.")]
OPTIONS = {"begin": "--since", "end": "--until", "by": "--by", "time_zone": "--zone"}
"""What the service calls the options, for its errors."""


def moment(option: str, text: str | None, zone: str) -> str | None:
    """A time that was typed, with its offset; a date is its midnight, and where no offset is named it is the zone's."""
    from datetime import datetime

    from send2llm.domain.budget_period import time_zone

    if text is None:
        return None
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"{option}: {text[:100]!r} is no time; write 2026-11-23, 2026-11-23T12:00 or 2026-11-23T12:00+01:00."
        ) from None
    return (typed if typed.tzinfo else typed.replace(tzinfo=time_zone(zone))).isoformat()
