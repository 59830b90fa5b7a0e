"""Built-in reports as of a moment: their queries, on tables that are folded anew up to then."""

from collections.abc import Mapping, Sequence

from send2llm.application.budgets.as_of import PeriodName
from send2llm.application.budgets.queries import PeriodUse
from send2llm.application.costs import CostQueries
from send2llm.application.moments import Moment
from send2llm.application.projections import Projection
from send2llm.application.queries import HistoryQueries
from send2llm.application.usage import UsageQueries
from send2llm.infrastructure.projections.past import ProjectionsAsOf
from send2llm.infrastructure.projections.past_fold import ALL
from send2llm.infrastructure.projections.untouched import ConversationColumns
from send2llm.infrastructure.read_models import cost_ledger_tables, history_tables
from send2llm.infrastructure.read_models.cost_ledger import CostLedgerProjection
from send2llm.infrastructure.read_models.cost_queries import PostgresCosts
from send2llm.infrastructure.read_models.history import HistoryProjection
from send2llm.infrastructure.read_models.history_queries import PostgresHistory
from send2llm.infrastructure.read_models.statements import PastTables
from send2llm.infrastructure.read_models.usage import UsageProjection
from send2llm.infrastructure.read_models.usage_queries import PostgresUsage

_ATTEMPTS: ConversationColumns = {cost_ledger_tables.attempts: "conversation_id"}
_HISTORY: ConversationColumns = {
    history_tables.conversations: "id",
    history_tables.messages: "conversation_id",
    history_tables.completions: "conversation_id",
    history_tables.feedback: "conversation_id",
}


class PostgresReportsAsOf:
    """``ReportsAsOf`` and ``PastUses`` by the folds and the queries of the present."""

    def __init__(self, past: ProjectionsAsOf) -> None:
        self._past = past

    def costs(self, moment: Moment) -> CostQueries:
        return PostgresCosts(self.tables(CostLedgerProjection(), moment, _ATTEMPTS))

    async def period_uses(self, moment: Moment, periods: Sequence[PeriodName]) -> Mapping[PeriodName, PeriodUse]:
        """``PastUses``, from the attempts as they stood."""
        costs = PostgresCosts(self.tables(CostLedgerProjection(), moment, _ATTEMPTS))
        return await costs.uses_of_attempts(periods)

    def usage(self, moment: Moment) -> UsageQueries:
        return PostgresUsage(self.tables(UsageProjection(), moment))

    def history(self, moment: Moment) -> HistoryQueries:
        return PostgresHistory(self.tables(HistoryProjection(), moment, _HISTORY))

    def tables(self, projection: Projection, moment: Moment, by_conversation: ConversationColumns = ALL) -> PastTables:
        """Those of any projection."""
        moment.require_events()
        return PastTables(self._past, projection, moment.position, by_conversation)
