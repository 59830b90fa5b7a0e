"""``send2llm budget``: what calls may cost, and where each budget stands."""

from typing import Annotated, Any

import typer

from send2llm.interfaces.cli.budget_naming import (
    Actor,
    Kind,
    Tenant,
    Wanted,
    Zone,
    all_budgets,
    find,
    read_scope,
    several,
    write_scope,
)
from send2llm.interfaces.cli.budget_tables import show_budget, show_budgets, show_explanation, tell_warnings
from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import note, write_json
from send2llm.interfaces.cli.report_options import At, as_of, tell_moment
from send2llm.interfaces.cli.service import DEFAULT_URL

OPTIONS = {
    "at": "--at",
    "limit_usd": "--limit",
    "period": "--period",
    "time_zone": "--zone",
    "thresholds": "--threshold",
    "scope.tenant": "--tenant",
    "scope.actor": "--actor",
    "scope": "SCOPE",
    "figure": "--figure",
    "reason": "--reason",
}
"""By which option the service's parameters are given."""

app = typer.Typer(help="Set budgets, and see where they stand.", no_args_is_help=True)

Scope = Annotated[
    str,
    typer.Argument(metavar="SCOPE", help="service, a provider, or provider/model.", show_default=False),
]
Which = Annotated[
    str,
    typer.Argument(metavar="BUDGET", help="The budget's id, or its scope.", show_default=False),
]
Limit = Annotated[str, typer.Option(metavar="USD", help="US dollars for each period.", show_default=False)]
PeriodKind = Annotated[str, typer.Option(help="hour, day, week, month or total.")]
NewZone = Annotated[
    str | None,
    typer.Option(help="Whose calendar counts, such as Europe/Berlin. [default: that of the budget, or UTC]"),
]
CarryOver = Annotated[
    bool | None, typer.Option("--carry-over/--no-carry-over", help="Whether the next period gets what is left over.")
]
Threshold = Annotated[
    list[int] | None, typer.Option(help="A percentage to be told of; several. [default: 50, 80, 100]")
]
Period = Annotated[str | None, typer.Option(metavar="KEY", help="Such as 2026-11; by default the running one.")]
Figure = Annotated[str, typer.Option(help="limit, carried_over, settled, lent, left, assumed, overrun or held.")]
Reason = Annotated[str, typer.Option(help="Why.")]


@app.command("set")
def set_(
    scope: Scope,
    *,
    limit: Limit,
    period: PeriodKind = "month",
    zone: NewZone = None,
    carry_over: CarryOver = None,
    threshold: Threshold = None,
    tenant: Tenant = None,
    actor: Actor = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Set what the calls of a scope may cost; sets another limit if there is a budget for it."""
    wanted = Wanted(read_scope(scope, tenant, actor), period, zone)
    terms: dict[str, Any] = {"limit_usd": limit}
    if carry_over is not None:
        terms["carry_over"] = carry_over
    if threshold is not None:
        terms["thresholds"] = threshold
    with connect(url, OPTIONS) as client:
        same = wanted.among(all_budgets(client))
        if len(same) > 1:
            raise several(wanted, same, "--zone")
        if same:
            budget = client.patch(f"/api/budgets/{same[0]['id']}", terms)
        else:
            new = {"scope": wanted.scope, "period": period, "time_zone": "UTC" if zone is None else zone, **terms}
            budget = client.post("/api/budgets", new)
    if as_json:
        write_json(budget)
        tell_warnings(budget)
    else:
        show_budget(budget)


@app.command("list")
def list_(*, at: At = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """List all budgets with the period that runs, or ran."""
    when = as_of(at)
    with connect(url, OPTIONS) as client:
        found = client.get("/api/budgets", at=when)
    if as_json:
        write_json(found)
        return
    if found["data"]:
        show_budgets(found["data"])
    elif when is None:
        note("There is no budget yet. Set one with: send2llm budget set openai --limit 50 --period month")
    else:
        note("There was no budget then.")
    tell_moment(found)


@app.command("show")
def show(
    budget: Which,
    *,
    period: Period = None,
    at: At = None,
    tenant: Tenant = None,
    actor: Actor = None,
    kind: Kind = None,
    zone: Zone = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show where a budget stands, or stood."""
    when = as_of(at, zone or "UTC")
    with connect(url, OPTIONS) as client:
        found = client.get(f"/api/budgets/{find(client, budget, tenant, actor, kind, zone)}", period=period, at=when)
    if as_json:
        write_json(found)
    else:
        show_budget(found)
        tell_moment(found)


@app.command("explain")
def explain(
    budget: Which,
    *,
    figure: Figure = "settled",
    period: Period = None,
    at: At = None,
    tenant: Tenant = None,
    actor: Actor = None,
    kind: Kind = None,
    zone: Zone = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List the events that a figure of a budget is, or was, the sum of."""
    when = as_of(at, zone or "UTC")
    with connect(url, OPTIONS) as client:
        explained = f"/api/budgets/{find(client, budget, tenant, actor, kind, zone)}/explain"
        found = client.get(explained, figure=figure, period=period, at=when)
    if as_json:
        write_json(found)
    else:
        show_explanation(found)
        tell_moment(found)


@app.command("retire")
def retire(
    budget: Which,
    *,
    reason: Reason = "",
    tenant: Tenant = None,
    actor: Actor = None,
    kind: Kind = None,
    zone: Zone = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Let a budget limit nothing any more; its books stay."""
    with connect(url, OPTIONS) as client:
        found = client.post(
            f"/api/budgets/{find(client, budget, tenant, actor, kind, zone)}/retire", {"reason": reason}
        )
    if as_json:
        write_json(found)
    else:
        note(f"The budget {found['id']} ({write_scope(found['scope'])}) limits nothing any more.")
