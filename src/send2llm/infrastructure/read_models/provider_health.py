"""How providers did, from the cost ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, case, func, not_, select
from sqlalchemy.dialects.postgresql import distinct_on

from send2llm.application.provider_health import CALLERS_FAULT, ProviderHealth
from send2llm.infrastructure.projections.views import as_read
from send2llm.infrastructure.read_models.cost_ledger_tables import NAME, VERSION, attempts
from send2llm.infrastructure.read_models.statements import Tables

_A = as_read(NAME, VERSION, attempts).c
_FAILED = and_(_A.status == "failed", not_(func.coalesce(_A.error, "").in_(sorted(CALLERS_FAULT))))


class PostgresProviderHealth:
    """``ProviderHealths`` on the table of attempts."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def since(self, moment: datetime) -> Sequence[ProviderHealth]:
        # Begun since then, too: that is what the table is indexed by.
        lately = and_(_A.requested_at >= moment, _A.ended_at.is_not(None))
        counts: Select[Any] = (
            select(_A.provider, func.count().label("attempts"), func.count().filter(_FAILED).label("failed"))
            .where(lately)
            .group_by(_A.provider)
            .order_by(_A.provider)
        )
        last: Select[Any] = (
            select(_A.provider, _A.ended_at, case((_FAILED, _A.error)).label("error"))
            .where(lately)
            .ext(distinct_on(_A.provider))
            .order_by(_A.provider, _A.ended_at.desc(), _A.position.desc())
        )
        counted, ended = await self._tables.read("the costs", counts, last)
        return [
            ProviderHealth(one["provider"], one["attempts"], one["failed"], end["ended_at"], end["error"])
            for one, end in zip(counted, ended, strict=True)
        ]
