"""A whole service with a fake model behind it, called like the one of the README."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from send2llm.bootstrap.container import build_service
from send2llm.bootstrap.followers import build_projector
from send2llm.infrastructure.postgres import ConnectionInfo
from send2llm.interfaces.http.app import create_app
from send2llm.settings import LocalModelSettings, ProviderSettings, Settings
from send2llm.testing.eventually import eventually
from send2llm.testing.openai_server import FakeOpenAIServer, running_in_thread

MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class RunningService:
    """Where the service, its model and its events are."""

    address: str
    provider_url: str
    database: ConnectionInfo

    def environment(self, home: Path) -> dict[str, str]:
        """For programs that use the service as its users do; nothing of the tests' own environment but the path."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "COLUMNS": "200",
            "SEND2LLM_URL": self.address,
            "SEND2LLM_DATABASE_URL": self.database.dsn,
            "SEND2LLM_DATA_DIR": str(home),
            "SEND2LLM_PROVIDERS__LOCAL__BASE_URL": self.provider_url,
        }


@contextmanager
def running_service(database: ConnectionInfo) -> Iterator[RunningService]:
    """Run it on a migrated database, in threads of this process."""
    with running_in_thread(FakeOpenAIServer(models=(MODEL,))) as provider_url:
        settings = Settings(
            database_url=database.dsn,
            providers={"local": ProviderSettings(base_url=provider_url, models=(MODEL,), free=True)},
            local_model=LocalModelSettings(enabled="never"),
        )
        with build_projector(settings).running(), _serving(settings) as address:
            yield RunningService(address, provider_url, database)


@contextmanager
def _serving(settings: Settings) -> Iterator[str]:
    app = create_app(build_service(settings))
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", ws="none", lifespan="on", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="service")
        thread.start()
        try:
            eventually(lambda: server.started or not thread.is_alive())
            assert server.started, "the service did not start"
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
