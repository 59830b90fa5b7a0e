"""How budgets are shown on the command line."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from send2llm.interfaces.cli.budget_naming import write_scope
from send2llm.interfaces.cli.output import local_time, note, show_table, usd, warn

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument

FIGURES = ("limit", "carried_over", "settled", "assumed", "overrun", "lent", "held", "spent", "left", "excess")
NUMBERS = ("limit", "settled", "lent", "left", "used")


def show_budgets(budgets: Sequence["JsonDocument"]) -> None:
    """A line for each, with the period that runs now."""
    rows = [
        (
            str(one["id"]),
            write_scope(one["scope"]),
            str(one["running"]["key"]),
            str(one["time_zone"]),
            *(usd(one["running"][f"{name}_usd"]) for name in ("limit", "settled", "lent", "left")),
            _used(one["running"]),
        )
        for one in budgets
    ]
    show_table(("id", "scope", "period", "zone", *NUMBERS), rows, flexible="scope", right=NUMBERS)


def show_budget(budget: "JsonDocument") -> None:
    """All figures of one, and its terms."""
    running = budget["running"]
    rows = [(name.replace("_", " "), usd(running[f"{name}_usd"])) for name in FIGURES]
    show_table(("", "USD"), rows, flexible="", right=("USD",))
    note(" · ".join([f"budget {budget['id']}", write_scope(budget["scope"]), *_period(budget), *_state(budget)]))
    note(" · ".join(_terms(budget)))
    tell_warnings(budget)


def show_explanation(explanation: "JsonDocument") -> None:
    """The events behind a figure, and their sum."""
    rows = [
        (str(one["position"]), local_time(one["occurred_at"]), str(one["topic"]), usd(one["amount_usd"]), _about(one))
        for one in explanation["data"]
    ]
    if rows:
        columns = ("position", "time", "event", "amount", "about")
        show_table(columns, rows, flexible="about", right=("position", "amount"))
    note(f"{explanation['figure']} in {explanation['period']}: {usd(explanation['usd'])}")


def tell_warnings(budget: "JsonDocument") -> None:
    """What is most likely not meant."""
    for warning in budget.get("warnings", ()):
        warn(warning)


def _period(budget: "JsonDocument") -> list[str]:
    running, zone = budget["running"], budget["time_zone"]
    named = [f"{budget['period']} {running['key']}" if running["end"] else "total"]
    if running["end"]:
        named.append(f"until {_time_in(running['end'], zone)} {zone}")
    return named


def _state(budget: "JsonDocument") -> list[str]:
    running = budget["running"]
    state = []
    if running["exhausted"]:
        state.append("exhausted")
    elif running["refused_usd"] is not None:
        state.append(f"refused a call that needed {usd(running['refused_usd'])}")
    if running["exhausted_at"] and not running["exhausted"]:
        state.append(f"at this rate spent by {_time_in(running['exhausted_at'], budget['time_zone'])}")
    if budget["retired"]:
        state.append("retired")
    return state


def _terms(budget: "JsonDocument") -> list[str]:
    reached = set(budget["running"]["thresholds_reached"])
    thresholds = [f"{one}%{' (reached)' if one in reached else ''}" for one in budget["thresholds"]]
    return [
        "what is left over is carried over" if budget["carry_over"] else "nothing is carried over",
        f"thresholds {', '.join(thresholds) or 'none'}",
    ]


def _time_in(moment: str, zone: str) -> str:
    """A moment as clocks of the budget show it."""
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def _used(running: dict[str, Any]) -> str:
    available = Decimal(running["limit_usd"]) + Decimal(running["carried_over_usd"])
    return f"{(available - Decimal(running['left_usd'])) / available:.0%}" if available else "-"


def _about(event: dict[str, Any]) -> str:
    """Who, or what, an event of a budget is about."""
    data = event["data"]
    for name, word in (("holder", "lent to"), ("completion_id", "call"), ("allowance_id", "allowance")):
        if name in data:
            return f"{word} {data[name]}"
    return ""
