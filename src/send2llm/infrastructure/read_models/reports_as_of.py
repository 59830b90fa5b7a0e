"""Built-in reports as of a moment: their queries, on tables that are folded anew up to then."""

from send2llm.application.costs import CostQueries
from send2llm.application.moments import Moment
from send2llm.application.projections import Projection
from send2llm.application.queries import HistoryQueries
from send2llm.application.usage import UsageQueries
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.cost_queries import PostgresCosts
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.history_queries import PostgresHistory
from send2llm.infrastructure.read_models.statements import PastTables
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.read_models.usage_queries import PostgresUsage


class PostgresReportsAsOf:
    """``ReportsAsOf`` by the folds and the queries of the present."""

    def __init__(self, past: ProjectionsAsOf) -> None:
        self._past = past

    def costs(self, moment: Moment) -> CostQueries:
        return PostgresCosts(self.tables(CostLedgerProjection(), moment))

    def usage(self, moment: Moment) -> UsageQueries:
        return PostgresUsage(self.tables(UsageProjection(), moment))

    def history(self, moment: Moment) -> HistoryQueries:
        return PostgresHistory(self.tables(HistoryProjection(), moment))

    def tables(self, projection: Projection, moment: Moment) -> PastTables:
        """Those of any projection."""
        moment.require_events()
        return PastTables(self._past, projection, moment.position)
