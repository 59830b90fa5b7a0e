"""``send2llm costs``: what calls cost."""

from typing import Any

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import count, note, show_table, usd, write_json
from send2llm.interfaces.cli.report_options import (
    OPTIONS,
    Actor,
    At,
    By,
    Model,
    Provider,
    Since,
    Tenant,
    Until,
    Zone,
    as_of,
    moment,
    tell_moment,
)
from send2llm.interfaces.cli.service import DEFAULT_URL

NUMBERS = ("calls", "attempts", "input", "output", "cost", "assumed")


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
    at: At = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show what calls cost, the dearest first; every attempt counts, failed and interrupted ones too."""
    groups = by or ["provider", "model"]
    begin, end = moment("--since", since, zone), moment("--until", until, zone)
    when = as_of(at, zone)
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
            at=when,
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
    if not as_json:
        tell_moment(found)


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
