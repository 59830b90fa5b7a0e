"""``send2llm usage``: how much was asked, by whom, and how models answered."""

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

NUMBERS = ("calls", "attempts", "answered", "failed", "refused", "input", "output", "cost", "p50", "p95", "first token")


def usage(
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
    """Show how many calls and tokens there were, what went wrong, and how long answers took."""
    groups = by or ["provider", "model"]
    begin, end = moment("--since", since, zone), moment("--until", until, zone)
    when = as_of(at, zone)
    with connect(url, OPTIONS) as client:
        found = client.get(
            "/api/usage",
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
        note("Nothing was asked.")
    else:
        rows = [_row(line, groups) for line in found["data"]]
        show_table((*groups, *NUMBERS), rows, flexible=groups[-1], right=NUMBERS)
        _tell_troubles(found["data"])
    if not as_json:
        tell_moment(found)


def _row(line: dict[str, Any], groups: list[str]) -> list[str]:
    names = ("calls", "attempts", "answered", "failed", "refused", "input_tokens", "output_tokens")
    return [
        *(str(line[group]) for group in groups),
        *(count(line[name]) for name in names),
        usd(line["cost_usd"]),
        _seconds(line["duration"], "p50"),
        _seconds(line["duration"], "p95"),
        _seconds(line["time_to_first_token"], "p50"),
    ]


def _seconds(durations: dict[str, float] | None, which: str) -> str:
    return "-" if durations is None else f"{durations[which]:.2f} s"


def _tell_troubles(lines: list[dict[str, Any]]) -> None:
    """What went wrong, all lines together."""
    for kind, what in (("failures", "failed attempts"), ("interruptions", "interrupted"), ("refusals", "refused")):
        times: dict[str, int] = {}
        for line in lines:
            for name, found in line[kind].items():
                times[name] = times.get(name, 0) + found
        if times:
            note(f"{what}: " + ", ".join(f"{name} {count(times[name])}" for name in sorted(times)))
