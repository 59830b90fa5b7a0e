"""``send2llm audit``: whether the books agree."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import console, count, note, show_table, usd, warn, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import ServiceClient

NUMBERS = ("holds", "settled", "lent", "spent", "held", "known later")

app = typer.Typer(help="Check that the books agree.", no_args_is_help=True)


@app.command("money")
def money(*, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Compare what conversations say was spent with what budgets say was settled, from the events alone.

    Exits with 1, and lists every difference, when they do not agree.
    """
    with connect(url) as client:
        audit = _audited(client)
    if as_json:
        write_json(audit)
    else:
        _show(audit)
    if audit["differences"]:
        raise typer.Exit(1)


def _audited(client: "ServiceClient") -> dict[str, Any]:
    """The result, with a progress bar on the way."""
    from rich.progress import Progress

    with Progress(console=console(sys.stderr), transient=True) as progress:
        task = progress.add_task("Reading events")
        for name, told in client.stream("/api/audit/money"):
            if name == "done":
                return told
            progress.update(task, completed=told["position"], total=told["head"])
    raise AssertionError("a stream ends with done, or with an error")


def _show(audit: dict[str, Any]) -> None:
    rows = [
        (
            str(line["budget_id"]),
            str(line["period_key"]),
            count(line["holds"]),
            usd(line["settled_usd"]),
            usd(line["lent_usd"]),
            usd(line["spent_usd"]),
            usd(line["held_usd"]),
            usd(line["later_usd"]),
        )
        for line in audit["periods"]
    ]
    if rows:
        show_table(("budget", "period", *NUMBERS), rows, flexible="period", right=NUMBERS)
    closed = audit["closed"]
    if closed["periods"]:
        note(f"Closed periods: {count(closed['periods'])}, with {usd(closed['settled_usd'])} settled.")
    for one in audit["overruns"]:
        warn(f"{_place(one)}: a provider billed {usd(one['amount_usd'])} more than was held")
    for one in audit["known_later"]:
        note(f"{_place(one)}: written off with {usd(one['assumed_usd'])}, cost {usd(one['cost_usd'])}, known later")
    note(
        f"{count(audit['calls'])} calls in {count(audit['position'])} events cost {usd(audit['cost_usd'])}, "
        f"{usd(audit['outside_usd'])} of it under no budget."
    )
    for one in audit["differences"]:
        warn(f"{_place(one)}: {one['what']}{_amounts(one)}")
    differences = audit["difference_count"]
    note(f"Differences: {count(differences)}." if differences else "Everything agrees.")


def _place(one: dict[str, Any]) -> str:
    return f"{one['stream']} at {one['position']}"


def _amounts(one: dict[str, Any]) -> str:
    if one["found_usd"] is None:
        return ""
    return f": {usd(one['found_usd'])}, which should be {usd(one['expected_usd'])}"
