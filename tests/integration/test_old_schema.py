"""A service works on nothing but the schema that it knows."""

import pytest

from send2llm.bootstrap.database import refuse_old_schema
from send2llm.domain.errors import ConfigurationError
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.infrastructure.read_models.migration import migrate


def test_a_database_that_is_not_up_to_date_is_refused(database: ConnectionInfo) -> None:
    with pytest.raises(ConfigurationError, match="Run `send2llm migrate` first"):
        refuse_old_schema(database)
    migrate(database)
    refuse_old_schema(database)


def test_a_database_that_is_not_there_is_named_so(tmp_path: object) -> None:
    with pytest.raises(ConfigurationError, match="cannot be reached"):
        refuse_old_schema(ConnectionInfo(host=str(tmp_path), dbname="none", user="nobody"))
