"""A worker process: answers HTTP on the sockets that it inherits (``python -m ... DESCRIPTOR ...``)."""

import gc
import socket
import sys

import uvicorn

from send2llm.bootstrap.container import build_service
from send2llm.bootstrap.service import Service
from send2llm.infrastructure.processes import end_with_parent
from send2llm.interfaces.http.app import create_app
from send2llm.interfaces.serving.logs import log_as_set
from send2llm.settings import Settings, load_settings

COLLECTIONS = (10_000, 10, 50)
"""New objects until the young ones are looked at, such looks until the middle-aged are, and of these until all are."""


def serve(settings: Settings, listeners: list[socket.socket]) -> None:
    """Answer requests until SIGTERM; running calls may end first."""
    service = build_service(settings)
    config = uvicorn.Config(
        create_app(service),
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
    )
    _spare_the_collector()
    _Server(config, service).run(sockets=listeners)


class _Server(uvicorn.Server):
    """Lets go who would stay for ever, before it waits for all answers to end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.about_to_stop()
        await super().shutdown(sockets)


def _spare_the_collector() -> None:
    """Look for garbage less often: calls leave none that needs looking for, and a full look stops all of them.

    It takes a quarter of a second when the cache is full of conversations. What fails leaves some (errors know their
    frames), so it is not switched off.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


def main() -> None:
    """What the supervisor starts."""
    settings = load_settings()
    end_with_parent(grace=settings.shutdown_seconds + 5)
    listeners = [socket.socket(fileno=int(descriptor)) for descriptor in sys.argv[1:]]
    log_as_set(settings)
    serve(settings, listeners)


if __name__ == "__main__":
    main()
