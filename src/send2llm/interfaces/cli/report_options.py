"""Options of reports: of which time, and whose."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.output import count, local_time, note

By = Annotated[
    list[str] | None,
    typer.Option(
        help="provider, model, tenant, actor, day or hour; several, one after the other. [default: provider, model]"
    ),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only what was begun at this time or later: 2026-11-23, or 2026-11-23T12:00."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only what was begun before this time.")]
Provider = Annotated[str | None, typer.Option(help="Only those at this provider.")]
Model = Annotated[str | None, typer.Option(help="Only those of this model.")]
Tenant = Annotated[str | None, typer.Option(help="Only those of this tenant.")]
Actor = Annotated[str | None, typer.Option(help="Only those of this key.")]
At = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="As it was at this position of the log or time: 812, or 2026-11-23T12:00."),
]
Zone = Annotated[str, typer.Option("--zone", help="Whose days and times, such as Europe/Berlin.")]
OPTIONS = {"at": "--at", "begin": "--since", "end": "--until", "by": "--by", "time_zone": "--zone"}
"""What the service calls the options, for its errors."""


_OR = " Or name a position of the log, as position:4711."


def as_of(text: str | None, zone: str = "UTC") -> str | None:
    """What was typed for ``--at``: a number, named or not, as it is, or a time, as ``moment`` reads it."""
    if text is None:
        return None
    named, _, number = text.rpartition(":")
    return text if number.isdigit() and named in ("", "position", "version") else moment("--at", text, zone, _OR)


def tell_moment(report: Mapping[str, Any]) -> None:
    """Say of when a report is, unless it is of the present."""
    if report.get("as_of"):
        note(f"As of {local_time(report['as_of'])}, position {count(report['position'])} of the log.")


def moment(option: str, text: str | None, zone: str, or_else: str = "") -> str | None:
    """A time that was typed, with its offset; a date is its midnight, and where no offset is named it is the zone's.

    ``or_else`` tells what could have been typed besides.
    """
    from datetime import datetime

    from send2llm.domain.budget_period import time_zone

    if text is None:
        return None
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"{option}: {text[:100]!r} is no time; write 2026-11-23, 2026-11-23T12:00 or 2026-11-23T12:00+01:00."
            f"{or_else}"
        ) from None
    return (typed if typed.tzinfo else typed.replace(tzinfo=time_zone(zone))).isoformat()
