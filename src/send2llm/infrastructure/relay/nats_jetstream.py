"""NATS JetStream as the target of a relay.

https://docs.nats.io/nats-concepts/jetstream/streams, https://docs.nats.io/nats-concepts/jetstream/headers.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import nats
import nats.errors
import nats.js.errors
import orjson
import structlog
from nats.js.api import StorageType, StreamConfig

from send2llm.application.published_events import PublishedEvent
from send2llm.infrastructure.ending_tasks import end_tasks
from send2llm.infrastructure.relay.target import RelayFailed

CONNECT_SECONDS = 5
ACKNOWLEDGED_WITHIN = 30.0
"""Seconds for a page."""

ROOM_FOR_HEADERS = 1024
"""Bytes: the server's limit for a message counts them too."""

_UNFIT = re.compile(r"[^\w.-]|(?<![^.])\.|\.(?=\.|$)")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """Where to: ``url`` may name a user and a password; ``stream`` is made if it is missing."""

    url: str
    stream: str
    subject: str
    credentials_file: Path | None = None


class NatsJetStream:
    """``RelayTarget``: an event's subject ends with its topic, and its id is the message's, which JetStream checks."""

    def __init__(self, options: NatsOptions) -> None:
        self._options = options
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        credentials = self._options.credentials_file
        try:
            async with asyncio.timeout(CONNECT_SECONDS):  # the library's own would try again for two minutes
                self._client = await nats.connect(
                    self._options.url,
                    name="send2llm relay",
                    allow_reconnect=False,  # the relay comes again by itself, from the position that is certain
                    error_cb=_note,
                    closed_cb=self._note_the_end,
                    user_credentials=str(credentials) if credentials else None,
                )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise RelayFailed(f"NATS cannot be reached ({_what(error)}); check relay.url, and that it runs.") from error
        try:
            await self._ensure_stream()
        except BaseException:  # nobody gets this object, so nobody else can close its connection
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._client.close()

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN):
                await self._acknowledged([await self._send(event) for event in events])
        except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
            raise RelayFailed(f"NATS did not take events ({_what(error)}); they are sent again.") from error

    async def _acknowledged(self, messages: "Sequence[asyncio.Future[Any]]") -> None:
        """Wait for all, or for the end of the connection, after which none would come."""
        ended = asyncio.create_task(self._ended.wait())
        waiting: asyncio.Future[Any] = asyncio.gather(*messages)
        try:
            either: list[asyncio.Future[Any]] = [waiting, ended]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise nats.errors.ConnectionClosedError
            waiting.result()
        finally:
            waiting.cancel()
            await end_tasks(ended)

    async def _note_the_end(self) -> None:
        self._ended.set()

    async def _send(self, event: PublishedEvent) -> "asyncio.Future[Any]":
        headers = {
            "Nats-Msg-Id": event.event_id,
            "Send2LLM-Position": str(event.position),
            "Send2LLM-Schema-Version": str(event.schema_version),
        }
        document = event.document
        if len(document) > self._client.max_payload - ROOM_FOR_HEADERS:
            document = orjson.dumps({**orjson.loads(document), "data": None})
            headers["Send2LLM-Data"] = "left-out"
        subject = f"{self._options.subject}.{_UNFIT.sub('_', event.topic)}"
        return await self._stream.publish_async(subject, document, headers=headers, stream=self._options.stream)

    async def _ensure_stream(self) -> None:
        self._stream = self._client.jetstream(timeout=CONNECT_SECONDS)
        name, subjects = self._options.stream, [f"{self._options.subject}.>"]
        try:
            try:
                await self._stream.stream_info(name)
            except nats.js.errors.NotFoundError:
                await self._stream.add_stream(StreamConfig(name=name, subjects=subjects, storage=StorageType.FILE))
        except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
            raise RelayFailed(
                f"The stream {name} cannot be used ({_what(error)}); NATS must run with JetStream (nats-server -js)."
            ) from error


async def _note(error: Exception) -> None:
    log.debug("relay.nats", error=_what(error))


def _what(error: BaseException) -> str:
    """Its kind, and no address: that may hold a password."""
    return type(error).__name__
