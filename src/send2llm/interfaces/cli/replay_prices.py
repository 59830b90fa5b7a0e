"""Which prices ``send2llm replay`` reckons with."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from send2llm.interfaces.cli.errors import CommandFailed

if TYPE_CHECKING:
    from send2llm.application.replay.report import Report
    from send2llm.infrastructure.prices import OverridePriceBook
    from send2llm.interfaces.cli.replay_source import RecordedCalls
    from send2llm.settings import Settings


class PriceSource:
    """A file of prices, and for models that are not in it a day of the catalogue, else today; or a recorded version."""

    def __init__(self, price_list: Path | None, at: datetime | None, version: str | None = None) -> None:
        if version is not None and (price_list or at):
            raise CommandFailed("--price-version goes without --prices and --prices-at: choose one of them.")
        self._price_list = price_list
        self._at = at
        self._version = version

    def book(self, settings: "Settings") -> "OverridePriceBook":
        """The prices of the file and the day; those that the configuration sets go before the catalogue's."""
        from send2llm.bootstrap.prices import price_book_of_history
        from send2llm.infrastructure.analysis.what_if_files import read_prices
        from send2llm.infrastructure.system import FixedClock, SystemClock

        at = self._at if self._at is None or self._at.tzinfo else self._at.replace(tzinfo=UTC)
        book = price_book_of_history(settings, SystemClock() if at is None else FixedClock(at))
        return book if self._price_list is None else read_prices(self._price_list, book)

    def _unused(self, book: "OverridePriceBook", used: Iterable[str]) -> Sequence[str]:
        """What has to be said of models in the file whose prices were not used: they may be misspelt."""
        unused = sorted({*book.names} - {*used}) if self._price_list else []
        return [f"In {self._price_list}, and of no call that was priced: {', '.join(unused)}."] if unused else []

    def reprice(self, calls: "RecordedCalls", groups: list[str], settings: "Settings") -> "Report":
        """The selected calls at these prices."""
        from send2llm.application.replay.recorded_prices import RecordedPrices
        from send2llm.application.replay.repricing import at_prices, at_version, notes_on_version, reprice

        book = self.book(settings)
        if self._version is None:
            asked: set[tuple[str, str]] = set()
            report = reprice(calls.selected(), at_prices(book, asked), groups)
            return replace(report, notes=[*report.notes, *self._unused(book, map("/".join, asked))])
        from send2llm.infrastructure.prices.genai import VERSION

        recorded = RecordedPrices.of(calls.all("Reading prices"), self._version)
        known = {*recorded.versions, *book.versions, VERSION}
        if self._version not in known:
            names = ", ".join(map(repr, sorted(known))) or "none"
            raise CommandFailed(f"--price-version: no call was charged by {self._version[:60]!r}; known are {names}.")
        return reprice(calls.selected(), at_version(recorded, book), groups, notes_on_version(recorded))
