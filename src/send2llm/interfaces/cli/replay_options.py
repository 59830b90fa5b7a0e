"""The options that all of ``send2llm replay`` have."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from send2llm.interfaces.cli.bulk_work import bulk_work

if TYPE_CHECKING:
    from send2llm.application.replay.report import Report
    from send2llm.interfaces.cli.replay_source import RecordedCalls
    from send2llm.settings import Settings

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


PricesAt = Annotated[
    datetime | None,
    typer.Option("--prices-at", metavar="TIME", help="As the catalogue has them for this day (UTC): 2026-01-31."),
]


class Asked:
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

    def answer(self, work: "Callable[[RecordedCalls, list[str], Settings], Report]", *, requests: bool = False) -> None:
        """Replay the calls, print the report, and write the files. ``requests``: it matters what was asked."""
        from send2llm.interfaces.cli.replay_output import show, write_report
        from send2llm.interfaces.cli.replay_source import recorded_calls
        from send2llm.interfaces.serving.logs import log_as_set
        from send2llm.settings import load_settings

        settings = load_settings()
        log_as_set(settings)
        with bulk_work(), recorded_calls(settings, self._export, self._selection, requests=requests) as calls:
            report = work(calls, self._by, settings)
        for path in self._output:
            write_report(report, path)
        show(report, as_json=self._as_json)


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
