"""``send2llm budget``: what calls may cost, and where each budget stands."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import local_time, note, show_table, usd, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument, ServiceClient

SERVICE = "service"
NUMBERS = ("limit", "settled", "lent", "left", "used")

app = typer.Typer(help="Set budgets, and see where they stand.", no_args_is_help=True)

Scope = Annotated[
    str,
    typer.Argument(metavar="SCOPE", help="service, a provider, or provider/model.", show_default=False),
]
Which = Annotated[
    str,
    typer.Argument(metavar="BUDGET", help="The budget's id, or its scope if it has one budget.", show_default=False),
]
Limit = Annotated[str, typer.Option(metavar="USD", help="US dollars for each period.", show_default=False)]
PeriodKind = Annotated[str, typer.Option(help="hour, day, week, month or total.")]
Zone = Annotated[str, typer.Option(help="Whose calendar counts, such as Europe/Berlin.")]
CarryOver = Annotated[
    bool | None, typer.Option("--carry-over/--no-carry-over", help="Whether the next period gets what is left over.")
]
Threshold = Annotated[
    list[int] | None, typer.Option(help="A percentage to be told of; several. [default: 50, 80, 100]")
]
Tenant = Annotated[str | None, typer.Option(help="Only calls of this tenant.")]
Actor = Annotated[str | None, typer.Option(help="Only calls with this key.")]
Period = Annotated[str | None, typer.Option(metavar="KEY", help="Such as 2026-11; by default the running one.")]
Figure = Annotated[str, typer.Option(help="limit, carried_over, settled, lent, left, assumed, overrun or held.")]
Reason = Annotated[str, typer.Option(help="Why.")]


@app.command("set")
def set_(
    scope: Scope,
    *,
    limit: Limit,
    period: PeriodKind = "month",
    zone: Zone = "UTC",
    carry_over: CarryOver = None,
    threshold: Threshold = None,
    tenant: Tenant = None,
    actor: Actor = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Set what the calls of a scope may cost; sets another limit if there is a budget for it."""
    wanted = _scope(scope, tenant, actor)
    terms: dict[str, Any] = {"limit_usd": limit}
    if carry_over is not None:
        terms["carry_over"] = carry_over
    if threshold is not None:
        terms["thresholds"] = threshold
    with connect(url) as client:
        same = [
            one for one in _all(client) if (one["scope"], one["period"], one["time_zone"]) == (wanted, period, zone)
        ]
        if same:
            budget = client.patch(f"/api/budgets/{same[0]['id']}", terms)
        else:
            budget = client.post("/api/budgets", {"scope": wanted, "period": period, "time_zone": zone, **terms})
    if as_json:
        write_json(budget)
    else:
        _show(budget)


@app.command("list")
def list_(*, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """List all budgets with the period that runs now."""
    with connect(url) as client:
        found = client.get("/api/budgets")
    if as_json:
        write_json(found)
    elif not found["data"]:
        note("There is no budget yet. Set one with: send2llm budget set openai --limit 50 --period month")
    else:
        rows = [
            (
                str(one["id"]),
                _named(one["scope"]),
                str(one["running"]["key"]),
                *(usd(one["running"][f"{name}_usd"]) for name in ("limit", "settled", "lent", "left")),
                _used(one["running"]),
            )
            for one in found["data"]
        ]
        show_table(("id", "scope", "period", *NUMBERS), rows, flexible="scope", right=NUMBERS)


@app.command("show")
def show(budget: Which, *, period: Period = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show where a budget stands."""
    with connect(url) as client:
        found = client.get(f"/api/budgets/{_id(client, budget)}", period=period)
    if as_json:
        write_json(found)
    else:
        _show(found)


@app.command("explain")
def explain(
    budget: Which,
    *,
    figure: Figure = "settled",
    period: Period = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List the events that a figure of a budget is the sum of."""
    with connect(url) as client:
        found = client.get(f"/api/budgets/{_id(client, budget)}/explain", figure=figure, period=period)
    if as_json:
        write_json(found)
        return
    rows = [
        (str(one["position"]), local_time(one["occurred_at"]), str(one["topic"]), usd(one["amount_usd"]), _about(one))
        for one in found["data"]
    ]
    if rows:
        columns = ("position", "time", "event", "amount", "about")
        show_table(columns, rows, flexible="about", right=("position", "amount"))
    note(f"{figure} in {found['period']}: {usd(found['usd'])}")


@app.command("retire")
def retire(budget: Which, *, reason: Reason = "", as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Let a budget limit nothing any more; its books stay."""
    with connect(url) as client:
        found = client.post(f"/api/budgets/{_id(client, budget)}/retire", {"reason": reason})
    if as_json:
        write_json(found)
    else:
        note(f"The budget {found['id']} ({_named(found['scope'])}) limits nothing any more.")


def _scope(name: str, tenant: str | None, actor: str | None) -> dict[str, str]:
    provider, _, model = name.partition("/")
    named = {"provider": "" if name == SERVICE else provider, "model": model, "tenant": tenant, "actor": actor}
    return {part: value for part, value in named.items() if value}


def _named(scope: dict[str, str]) -> str:
    """A scope as it is written on the command line."""
    name = "/".join(scope[part] for part in ("provider", "model") if part in scope) or SERVICE
    return " ".join([name, *(f"--{part} {scope[part]}" for part in ("tenant", "actor") if part in scope)])


def _all(client: "ServiceClient") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/budgets")["data"]
    return found


def _id(client: "ServiceClient", budget: str) -> str:
    """The id of a budget that is named by its id or its scope."""
    try:
        return str(UUID(budget))
    except ValueError:
        pass
    found = [one["id"] for one in _all(client) if _named(one["scope"]) == budget]
    if len(found) != 1:
        many = f"{len(found)} budgets are" if found else "No budget is"
        raise CommandFailed(f"{many} for {budget}; take an id from `send2llm budget list`.")
    return str(found[0])


def _show(budget: "JsonDocument") -> None:
    running = budget["running"]
    rows = [
        (name.replace("_", " "), usd(running[f"{name}_usd"]))
        for name in ("limit", "carried_over", "settled", "assumed", "overrun", "lent", "held", "left", "excess")
    ]
    show_table(("", "USD"), rows, flexible="", right=("USD",))
    facts = [f"budget {budget['id']}", _named(budget["scope"]), f"{budget['period']} {running['key']}"]
    if running["end"]:
        facts.append(f"until {local_time(running['end'])}")
    if running["exhausted"]:
        facts.append("exhausted")
    elif running["exhausted_at"]:
        facts.append(f"at this rate spent by {local_time(running['exhausted_at'])}")
    if budget["retired"]:
        facts.append("retired")
    note(" · ".join(facts))


def _used(running: dict[str, Any]) -> str:
    from decimal import Decimal

    available = Decimal(running["limit_usd"]) + Decimal(running["carried_over_usd"])
    return f"{(available - Decimal(running['left_usd'])) / available:.0%}" if available else "-"


def _about(event: dict[str, Any]) -> str:
    """Who, or what, an event of a budget is about."""
    data = event["data"]
    for name, word in (("holder", "lent to"), ("completion_id", "call"), ("allowance_id", "allowance")):
        if name in data:
            return f"{word} {data[name]}"
    return ""
