"""Built-in reports as they would have read at an earlier moment."""

from typing import Protocol

from send2llm.application.costs import CostQueries
from send2llm.application.moments import Moment
from send2llm.application.queries import HistoryQueries
from send2llm.application.usage import UsageQueries


class ReportsAsOf(Protocol):
    """Gives the queries of the present, answered from what had been stored by then.

    What became known later does not count: outcomes, costs that were assumed at first, feedback. Only what was said in
    a conversation that has been erased since is not told again. Every method raises ``InvalidRequest`` for a moment
    before the first event; each query folds the events once more, and may take a while.
    """

    def costs(self, moment: Moment) -> CostQueries:
        """What calls cost, as it was known then."""
        ...

    def usage(self, moment: Moment) -> UsageQueries:
        """How much was asked, and how it was answered by then."""
        ...

    def history(self, moment: Moment) -> HistoryQueries:
        """The conversations as they stood."""
        ...
