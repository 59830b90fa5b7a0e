"""How budgets are named on the command line: by an id, or by what they are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from send2llm.interfaces.cli.errors import CommandFailed

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument, ServiceClient

SERVICE = "service"
"""The word for everything; nothing else means that."""

Tenant = Annotated[str | None, typer.Option(help="Only calls of this tenant.")]
Actor = Annotated[str | None, typer.Option(help="Only calls with this key.")]
Kind = Annotated[str | None, typer.Option("--period-kind", help="hour, day, week, month or total, if it has several.")]
Zone = Annotated[str | None, typer.Option(help="Whose calendar counts, such as Europe/Berlin, if it has several.")]


@dataclass(frozen=True)
class Wanted:
    """Which budgets: those of a scope, and if they are named of one kind of period and one time zone."""

    scope: dict[str, str]
    kind: str | None = None
    zone: str | None = None

    def among(self, budgets: Sequence["JsonDocument"]) -> list["JsonDocument"]:
        """Those that are wanted."""
        return [
            one
            for one in budgets
            if one["scope"] == self.scope
            and self.kind in (None, one["period"])
            and self.zone in (None, one["time_zone"])
        ]


def read_scope(name: str, tenant: str | None = None, actor: str | None = None) -> dict[str, str]:
    """The scope that was typed; raises ``CommandFailed`` rather than take it for a wider one."""
    provider, slash, model = name.partition("/")
    if not provider or (slash and not model) or (provider == SERVICE and slash):
        raise CommandFailed(
            f"{name!r} is no scope of a budget; write service (everything), a provider, or provider/model."
        )
    for option, value in (("--tenant", tenant), ("--actor", actor)):
        if value == "":
            raise CommandFailed(f"{option} names nobody; leave it out, or say who.")
    named = {"provider": None if provider == SERVICE else provider, "model": model, "tenant": tenant, "actor": actor}
    return {part: value for part, value in named.items() if value}


def write_scope(scope: dict[str, str]) -> str:
    """A scope as it is written on the command line."""
    name = "/".join(scope[part] for part in ("provider", "model") if part in scope) or SERVICE
    return " ".join([name, *(f"--{part} {scope[part]}" for part in ("tenant", "actor") if part in scope)])


def all_budgets(client: "ServiceClient") -> list[dict[str, Any]]:
    """Those that are not retired."""
    found: list[dict[str, Any]] = client.get("/api/budgets")["data"]
    return found


def find(
    client: "ServiceClient", budget: str, tenant: str | None, actor: str | None, kind: str | None, zone: str | None
) -> str:
    """The id of the one budget that is named by its id or its scope; raises ``CommandFailed`` for none or several."""
    try:
        known = str(UUID(budget))
    except ValueError:
        wanted = Wanted(read_scope(budget, tenant, actor), kind, zone)
    else:
        if any(one is not None for one in (tenant, actor, kind, zone)):
            raise CommandFailed(f"{budget} is an id, which says it all; leave the other options out.")
        return known
    found = wanted.among(all_budgets(client))
    if not found:
        raise CommandFailed(f"No budget is for {_described(wanted)}; `send2llm budget list` shows what there is.")
    if len(found) > 1:
        raise several(wanted, found, "its id, --period-kind or --zone")
    return str(found[0]["id"])


def several(wanted: Wanted, found: Sequence["JsonDocument"], choice: str) -> CommandFailed:
    """There are several that could be meant: which, and how to tell them apart."""
    named = ", ".join(f"{one['id']} ({one['period']}, {one['time_zone']})" for one in found)
    return CommandFailed(f"{len(found)} budgets are for {_described(wanted)}: {named}. Name one by {choice}.")


def _described(wanted: Wanted) -> str:
    details = ", ".join(filter(None, (wanted.kind, wanted.zone)))
    return write_scope(wanted.scope) + (f" ({details})" if details else "")
