"""``send2llm replay``: what the same calls would have cost. No provider is called."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson
from send2llm.interfaces.cli.replay_options import (
    Actor,
    Asked,
    By,
    ExportFolder,
    Model,
    Output,
    Prices,
    PricesAt,
    Provider,
    Since,
    Tenant,
    Until,
)

if TYPE_CHECKING:
    from send2llm.application.replay.report import Report
    from send2llm.interfaces.cli.replay_source import RecordedCalls
    from send2llm.settings import Settings

app = typer.Typer(
    help="Ask what recorded calls would have cost otherwise; no provider is called.", no_args_is_help=True
)


@app.command("prices")
def prices(
    *,
    price_list: Prices = None,
    prices_at: PricesAt = None,
    version: Annotated[
        str | None,
        typer.Option("--price-version", metavar="VERSION", help="As calls were charged that name this price_version."),
    ] = None,
    export: ExportFolder = None,
    by: By = None,
    since: Since = None,
    until: Until = None,
    provider: Provider = None,
    model: Model = None,
    tenant: Tenant = None,
    actor: Actor = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """The same calls under other prices: of a file, a day or a recorded version; else as today."""
    from send2llm.interfaces.cli.replay_prices import PriceSource

    what = Asked(export, by, since, until, provider, model, tenant, actor, output, as_json)
    source = PriceSource(price_list, prices_at, version)
    what.answer(source.reprice)


@app.command("route")
def route(
    *,
    to: Annotated[
        list[str],
        typer.Option("--to", metavar="NAME", help="Who would have answered: provider/model, or a route; several."),
    ],
    strategy: Annotated[
        str, typer.Option(help="Who of several: first (in order, that has room) or cheapest (for each call).")
    ] = "first",
    tokens: Annotated[
        str, typer.Option(help="How many tokens the other tokeniser makes of the same text, for each one: a range.")
    ] = "0.9-1.2",
    length: Annotated[str, typer.Option(help="How long the other model's answers are, for each token: a range.")] = "1",
    price_list: Prices = None,
    prices_at: PricesAt = None,
    export: ExportFolder = None,
    by: By = None,
    since: Since = None,
    until: Until = None,
    provider: Provider = None,
    model: Model = None,
    tenant: Tenant = None,
    actor: Actor = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """The same calls at other providers or models: the least and the most that they would have cost."""
    from send2llm.application.replay.rerouting import Route, reroute
    from send2llm.application.replay.token_spans import Span
    from send2llm.interfaces.cli.replay_prices import PriceSource
    from send2llm.interfaces.cli.replay_targets import targets_of

    chosen: Literal["first", "cheapest"]
    match strategy:
        case "first" | "cheapest":
            chosen = strategy
        case _:
            raise CommandFailed("--strategy is first or cheapest.")
    spans = Span.parse(tokens, "--tokens"), Span.parse(length, "--length")
    source = PriceSource(price_list, prices_at)

    def rerouted(calls: "RecordedCalls", groups: list[str], settings: "Settings") -> "Report":
        book = source.book(settings)
        targets, notes = targets_of(to, settings, book)
        return reroute(calls.selected(), Route(targets, chosen, *spans), groups, notes)

    Asked(export, by, since, until, provider, model, tenant, actor, output, as_json).answer(rerouted)


@app.command("budgets")
def budgets(
    caps: Annotated[Path, typer.Argument(metavar="FILE", help="TOML with [[budgets]]: scope, limit_usd, period.")],
    *,
    rule: Annotated[
        str, typer.Option(help="What a call needs: holds (what was held for it) or costs (what it cost).")
    ] = "holds",
    export: ExportFolder = None,
    by: By = None,
    since: Since = None,
    until: Until = None,
    provider: Provider = None,
    model: Model = None,
    tenant: Tenant = None,
    actor: Actor = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """The same calls under other budgets: what would have been refused, and when."""
    from send2llm.application.replay.budget_caps import BudgetReplay
    from send2llm.infrastructure.analysis.what_if_files import read_caps

    needed: Literal["holds", "costs"]
    match rule:
        case "holds" | "costs":
            needed = rule
        case _:
            raise CommandFailed("--rule is holds or costs.")
    these = read_caps(caps)
    what = Asked(export, by, since, until, provider, model, tenant, actor, output, as_json)
    what.answer(lambda calls, _groups, _settings: BudgetReplay(these, needed, by or ()).run(calls.selected()))


@app.command("cache")
def cache(
    *,
    seconds: Annotated[float, typer.Option(min=0, help="How long an answer may be used again.")],
    export: ExportFolder = None,
    by: By = None,
    since: Since = None,
    until: Until = None,
    provider: Provider = None,
    model: Model = None,
    tenant: Tenant = None,
    actor: Actor = None,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """The same calls with a cache of answers: how many exact repeats it would have hit, and what that saves."""
    from send2llm.application.replay.cache_lifetime import replay_cache

    what = Asked(export, by, since, until, provider, model, tenant, actor, output, as_json)
    what.answer(lambda calls, groups, _settings: replay_cache(calls.selected(), seconds, groups), requests=True)
