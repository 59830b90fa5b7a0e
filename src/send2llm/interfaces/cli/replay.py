"""``send2llm replay``: what the same calls would have cost. No provider is called."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from send2llm.interfaces.cli.bulk_work import bulk_work
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson

if TYPE_CHECKING:
    from send2llm.application.replay.calls import Call
    from send2llm.application.replay.report import Report
    from send2llm.infrastructure.prices import OverridePriceBook
    from send2llm.settings import Settings

app = typer.Typer(
    help="Ask what recorded calls would have cost otherwise; no provider is called.", no_args_is_help=True
)

ExportFolder = Annotated[
    Path | None, typer.Option("--export", metavar="DIR", help="Read an export and not the database.")
]
By = Annotated[
    list[str] | None, typer.Option(help="day, provider, model, tenant or actor; several, one after the other.")
]
Since = Annotated[
    datetime | None, typer.Option(metavar="TIME", help="Only calls begun at this time (UTC) or later: 2026-11-23.")
]
Until = Annotated[datetime | None, typer.Option(metavar="TIME", help="Only calls begun before this time (UTC).")]
Provider = Annotated[str | None, typer.Option(help="Only calls to this provider.")]
Model = Annotated[str | None, typer.Option(help="Only calls to this model.")]
Tenant = Annotated[str | None, typer.Option(help="Only calls of this tenant.")]
Actor = Annotated[str | None, typer.Option(help="Only calls of this key.")]
Output = Annotated[
    list[Path] | None,
    typer.Option(help="Write a file: .csv, .json, .parquet, or a chart as .svg or .html; several are possible."),
]
Prices = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="Prices in the shape of [prices] in send2llm.toml; others as today."),
]


@app.command("prices")
def prices(
    *,
    price_list: Prices = None,
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
    """The same calls under other prices: those of a file, else those of today's catalogue and configuration."""
    from send2llm.application.replay.repricing import reprice

    what = _Asked(export, by, since, until, provider, model, tenant, actor, output, as_json)
    what.answer(lambda calls, groups, settings: reprice(calls, _price_book(settings, price_list), groups))


@app.command("route")
def route(
    *,
    to: Annotated[str, typer.Option("--to", metavar="PROVIDER/MODEL", help="Who would have answered.")],
    tokens: Annotated[
        str, typer.Option(help="How many tokens the other tokeniser makes of the same text, for each one: a range.")
    ] = "0.9-1.2",
    length: Annotated[str, typer.Option(help="How long the other model's answers are, for each token: a range.")] = "1",
    price_list: Prices = None,
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
    """The same calls at another provider or model: the least and the most that they would have cost."""
    from send2llm.application.replay.rerouting import Span, reroute

    other, _, name = to.partition("/")
    spans = Span.parse(tokens, "--tokens"), Span.parse(length, "--length")

    def rerouted(calls: "Iterator[Call]", groups: list[str], settings: "Settings") -> "Report":
        price = _price_book(settings, price_list).price(other, name)
        if price is None:
            raise CommandFailed(f"--to: no price of {to} is known; name provider/model, or give its price in --prices.")
        return reroute(calls, to, price, *spans, groups)

    _Asked(export, by, since, until, provider, model, tenant, actor, output, as_json).answer(rerouted)


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
    what = _Asked(export, by, since, until, provider, model, tenant, actor, output, as_json)
    what.answer(lambda calls, _groups, _settings: BudgetReplay(these, needed, by or ()).run(calls))


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

    what = _Asked(export, by, since, until, provider, model, tenant, actor, output, as_json)
    what.answer(lambda calls, groups, _settings: replay_cache(calls, seconds, groups))


class _Asked:
    """The options that all replays have."""

    def __init__(
        self,
        export: Path | None,
        by: list[str] | None,
        since: datetime | None,
        until: datetime | None,
        provider: str | None,
        model: str | None,
        tenant: str | None,
        actor: str | None,
        output: list[Path] | None,
        as_json: bool,
    ) -> None:
        from send2llm.application.replay.calls import Selection, grouping
        from send2llm.infrastructure.analysis.extra import need_pyarrow
        from send2llm.interfaces.cli.replay_output import check_output

        need_pyarrow()
        self._by = by or ["provider", "model"]
        grouping(self._by)
        self._selection = Selection(provider, model, tenant, actor, _utc(since), _utc(until))
        self._export, self._output, self._as_json = export, output or [], as_json
        for path in self._output:
            check_output(path)

    def answer(self, work: "Callable[[Iterator[Call], list[str], Settings], Report]") -> None:
        """Replay the calls, print the report, and write the files."""
        from send2llm.interfaces.cli.replay_output import show, write_report
        from send2llm.interfaces.cli.replay_source import selected_calls
        from send2llm.interfaces.serving.logs import log_as_set
        from send2llm.settings import load_settings

        settings = load_settings()
        log_as_set(settings)
        with bulk_work(), selected_calls(settings, self._export, self._selection) as calls:
            report = work(calls, self._by, settings)
        for path in self._output:
            write_report(report, path)
        show(report, as_json=self._as_json)


def _utc(moment: datetime | None) -> datetime | None:
    from datetime import UTC

    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _price_book(settings: "Settings", price_list: Path | None) -> "OverridePriceBook":
    from send2llm.bootstrap import price_book_of_history
    from send2llm.infrastructure.analysis.what_if_files import read_prices
    from send2llm.infrastructure.system import SystemClock

    today = price_book_of_history(settings, SystemClock())
    return today if price_list is None else read_prices(price_list, today)
