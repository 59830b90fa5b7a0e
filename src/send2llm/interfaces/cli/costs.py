"""``send2llm costs``: what calls cost."""

from typing import Annotated, Any

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import count, note, show_table, usd, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL

NUMBERS = ("calls", "attempts", "input", "output", "cost", "assumed")

By = Annotated[
    list[str] | None,
    typer.Option(
        help="provider, model, tenant, actor or day; several, one after the other. [default: provider, model]"
    ),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only attempts begun at this time or later: 2026-11-23, or 2026-11-23T12:00."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only attempts begun before this time.")]
Provider = Annotated[str | None, typer.Option(help="Only those at this provider.")]
Model = Annotated[str | None, typer.Option(help="Only those of this model.")]
Tenant = Annotated[str | None, typer.Option(help="Only those of this tenant.")]
Actor = Annotated[str | None, typer.Option(help="Only those of this key.")]
Zone = Annotated[str, typer.Option("--zone", help="Whose days and times, such as Europe/Berlin.")]
OPTIONS = {"begin": "--since", "end": "--until", "by": "--by", "time_zone": "--zone"}


def costs(
    *,
    by: By = None,
    since: Since = None,
    until: Until = None,
    provider: Provider = None,
    model: Model = None,
    tenant: Tenant = None,
    actor: Actor = None,
    zone: Zone = "UTC",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show what calls cost, the dearest first; every attempt counts, failed and interrupted ones too."""
    groups = by or ["provider", "model"]
    begin, end = _moment("--since", since, zone), _moment("--until", until, zone)
    with connect(url, OPTIONS) as client:
        found = client.get(
            "/api/costs",
            by=groups,
            begin=begin,
            end=end,
            provider=provider,
            model=model,
            tenant=tenant,
            actor=actor,
            time_zone=zone,
        )
    if as_json:
        write_json(found)
    elif not found["data"]:
        note("Nothing was spent.")
    else:
        show_table(
            (*groups, *NUMBERS), [_row(line, groups) for line in found["data"]], flexible=groups[-1], right=NUMBERS
        )
        unpriced = sum(line["unpriced"] for line in found["data"])
        if unpriced:
            note(f"The prices of {count(unpriced)} attempts are not known; they are not in these sums.")


def _moment(option: str, text: str | None, zone: str) -> str | None:
    """A time that was typed, with its offset; a date is its midnight, and where no offset is named it is the zone's."""
    from datetime import datetime

    from send2llm.domain.budget_period import time_zone

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"{option}: {text[:100]!r} is no time; write 2026-11-23, 2026-11-23T12:00 or 2026-11-23T12:00+01:00."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=time_zone(zone))).isoformat()


def _row(line: dict[str, Any], groups: list[str]) -> list[str]:
    return [
        *(str(line[group]) for group in groups),
        count(line["calls"]),
        count(line["attempts"]),
        count(line["input_tokens"]),
        count(line["output_tokens"]),
        usd(line["cost_usd"]),
        usd(line["assumed_usd"]),
    ]
