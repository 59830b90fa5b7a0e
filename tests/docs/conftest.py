"""One service for all examples of a test process."""

import os
from collections.abc import Iterator

import pytest
from running_service import RunningService, running_service

from send2llm.infrastructure.read_models.migration import migrate
from send2llm.testing.postgres import TestDatabaseServer


@pytest.fixture(scope="session")
def service(postgres_server: TestDatabaseServer) -> Iterator[RunningService]:
    database = postgres_server.create_database()
    migrate(database)
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("SEND2LLM_", "OPENAI_"))]:
            environment.delenv(name)
        with running_service(database) as service:
            yield service
    postgres_server.drop(database)
