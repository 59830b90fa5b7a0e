import pytest
from sqlalchemy import MetaData

from send2llm.bootstrap import projections
from send2llm.domain.errors import ConfigurationError
from send2llm.settings import Settings


class Mine:
    name = "mine"
    version = 1
    topics = frozenset({"conversation.closed"})
    tables = MetaData()

    def fold(self, events, connection):
        pass


def test_projections_of_ones_own_stand_beside_those_that_come_along():
    found = projections(Settings(projections=(f"{__name__}:Mine",)))

    assert [projection.name for projection in found] == ["history", "cost_ledger", "usage", "trail", "mine"]


@pytest.mark.parametrize("place", ["nowhere:Mine", f"{__name__}:Missing", __name__, f"{__name__}:", "pytest:Mark"])
def test_what_cannot_be_loaded_is_told(place):
    with pytest.raises(ConfigurationError, match="projection"):
        projections(Settings(projections=(place,)))
