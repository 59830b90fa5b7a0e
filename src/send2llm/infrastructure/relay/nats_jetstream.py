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
from send2llm.infrastructure.relay.target import EventRefused, RelayFailed

CONNECT_SECONDS = 5
ACKNOWLEDGED_WITHIN = 30.0
"""Seconds for a page."""

ROOM_FOR_HEADERS = 1024
"""Bytes: the server's limit for a message counts them too."""

_FAILURES = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError)
_REFUSALS = (nats.js.errors.BadRequestError, nats.js.errors.NoStreamResponseError)
"""What is said to one event: the stream takes no such message, or none of its subject."""

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
        self._largest = 0
        self._trouble: asyncio.Future[Exception] | None = None
        """What went wrong since a page was begun that no answer to a message tells."""

    async def __aenter__(self) -> Self:
        credentials = self._options.credentials_file
        try:
            async with asyncio.timeout(CONNECT_SECONDS):  # the library's own would try again for two minutes
                self._client = await nats.connect(
                    self._options.url,
                    name="send2llm relay",
                    allow_reconnect=False,  # the relay comes again by itself, from the position that is certain
                    error_cb=self._note,
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
                await self._publish_at_once(events)
        except _REFUSALS:
            await self._publish_one_by_one(events)
        except _FAILURES as error:
            raise RelayFailed(f"NATS did not take events ({_what(error)}); they are sent again.") from error

    async def _publish_at_once(self, events: Sequence[PublishedEvent]) -> None:
        """Send all, and wait for the answers, or for trouble after which some would not come."""
        trouble = self._trouble = asyncio.get_running_loop().create_future()
        taken: asyncio.Future[Any] = asyncio.gather(
            *[await self._stream.publish_async(**self._message(event)) for event in events]
        )
        try:
            either: list[asyncio.Future[Any]] = [taken, trouble]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not taken.done():
                raise trouble.result()
            taken.result()
        finally:
            taken.cancel()
            await asyncio.gather(taken, return_exceptions=True)

    async def _publish_one_by_one(self, events: Sequence[PublishedEvent]) -> None:
        """Find the event that is refused. What NATS has already of a page it knows by its id."""
        for event in events:
            try:
                await self._stream.publish(**self._message(event), timeout=ACKNOWLEDGED_WITHIN)
            except _REFUSALS as error:
                refused = (
                    f"NATS did not take the event at position {event.position} ({_what(error)}); it is sent again."
                )
                raise EventRefused(refused, event.position) from error
            except _FAILURES as error:
                raise RelayFailed(f"NATS did not take events ({_what(error)}); they are sent again.") from error

    async def _note(self, error: Exception) -> None:
        """JetStream's refusal of a message comes here too: the client library fails at reading it."""
        log.debug("relay.nats", error=_what(error))
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_result(error)

    async def _note_the_end(self) -> None:
        await self._note(nats.errors.ConnectionClosedError())

    def _message(self, event: PublishedEvent) -> dict[str, Any]:
        headers = {
            "Nats-Msg-Id": event.event_id,
            "Send2LLM-Position": str(event.position),
            "Send2LLM-Schema-Version": str(event.schema_version),
        }
        document = event.document
        if len(document) > self._largest - ROOM_FOR_HEADERS:
            document = orjson.dumps({**orjson.loads(document), "data": None})
            headers["Send2LLM-Data"] = "left-out"
        subject = f"{self._options.subject}.{_UNFIT.sub('_', event.topic)}"
        return {"subject": subject, "payload": document, "headers": headers, "stream": self._options.stream}

    async def _ensure_stream(self) -> None:
        self._stream = self._client.jetstream(timeout=CONNECT_SECONDS)
        name, subjects = self._options.stream, [f"{self._options.subject}.>"]
        try:
            try:
                stream = await self._stream.stream_info(name)
            except nats.js.errors.NotFoundError:
                made = StreamConfig(name=name, subjects=subjects, storage=StorageType.FILE)
                stream = await self._stream.add_stream(made)
        except _FAILURES as error:
            raise RelayFailed(
                f"The stream {name} cannot be used ({_what(error)}); NATS must run with JetStream (nats-server -js)."
            ) from error
        limit = stream.config.max_msg_size or -1  # of a message with its headers, as the server's
        self._largest = min(self._client.max_payload, limit) if limit > 0 else self._client.max_payload


def _what(error: BaseException) -> str:
    """What JetStream says, or the kind of error, and no address: that may hold a password."""
    said = error.description if isinstance(error, nats.js.errors.APIError) else None
    return said or type(error).__name__
