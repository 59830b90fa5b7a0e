"""A provider over HTTP, whatever its dialect."""

from collections.abc import AsyncIterator, Collection, Sequence

import httpx2

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Delta, deltas_of
from send2llm.domain.errors import (
    ConnectionFailed,
    MalformedReply,
    ProviderError,
    ProviderTimedOut,
    RequestRejected,
    StreamBroken,
)
from send2llm.domain.message import EmbeddingPart
from send2llm.infrastructure.providers.capabilities import Capabilities, declared
from send2llm.infrastructure.providers.dialect import (
    CountingDialect,
    Dialect,
    EmbeddingDialect,
    ErrorDialect,
    PagedModelsDialect,
    ReportedError,
    Signer,
    WireRequest,
)
from send2llm.infrastructure.providers.http_client import http_transport
from send2llm.infrastructure.providers.leaving_out import leave_out
from send2llm.infrastructure.providers.provider_errors import ProviderErrors
from send2llm.infrastructure.providers.response_bodies import beginning, pieces
from send2llm.infrastructure.providers.streams import batches_of

CONNECT_TIMEOUT = 10.0
"""Seconds for name look-up, TCP and TLS. The other timeouts belong to the application."""

MOST_PAGES = 100
"""Pages of a list of models that are asked for; a server that always has one more shall not be asked for ever."""

LARGEST_REPLY = 64 * 1024 * 1024
"""Bytes, unpacked: more than any answer, pictures included, and less than would harm the service."""


class HttpProvider:
    """A ``Provider`` that speaks a ``dialect``.

    ``secrets`` are replaced in whatever the provider says. ``leave_out`` are fields of requests that it never gets.
    The ``transport`` is closed with the provider.
    """

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        secrets: Sequence[str] = (),
        signer: Signer | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        leave_out: Collection[str] = (),
    ) -> None:
        self._name = name
        self._dialect = dialect
        self._transport = transport or http_transport()
        self._signer = signer
        self._leave_out = leave_out
        self._connect_timeout = connect_timeout
        self._extensions = {"timeout": {"connect": connect_timeout, "read": None, "write": None, "pool": None}}
        kinds = dialect.error_kinds if isinstance(dialect, ErrorDialect) else {}
        self._errors = ProviderErrors(name, secrets, kinds)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    @property
    def name(self) -> str:
        """The name that it has in the configuration."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What can be asked of it."""
        return declared(
            self._dialect,
            embeddings=isinstance(self._dialect, EmbeddingDialect),
            count_tokens=isinstance(self._dialect, CountingDialect),
        )

    async def complete(self, call: ProviderCall) -> Completion:
        """Ask, and wait for the whole reply."""
        try:
            response = await self._send(self._chat(call, stream=False))
            try:
                return self._completion(await self._read(response), response)
            finally:
                await response.aclose()
        except ProviderError as error:
            raise self._named(error) from error.__cause__

    async def stream(self, call: ProviderCall) -> AsyncIterator[Sequence[Delta]]:
        """Ask, and yield what comes as it comes.

        A stream that ends without its end mark is broken, unless its reader says that it is whole.
        """
        try:
            response = await self._send(self._chat(call, stream=True))
            try:
                if response.headers.get("content-type", "").startswith("application/json"):
                    # The server does not stream, or has an error to report.
                    yield deltas_of(self._completion(await self._read(response), response))
                    return
                async for batch in batches_of(response, self._dialect, self._errors):
                    yield batch
            except httpx2.TransportError as error:
                raise StreamBroken(f"The connection to {self._name} was lost in mid-answer.") from error
            finally:
                await response.aclose()
        except ProviderError as error:
            raise self._named(error) from error.__cause__

    async def embed(self, call: ProviderCall) -> Completion:
        """Ask for the embeddings of the messages."""
        dialect = self._dialect
        if not isinstance(dialect, EmbeddingDialect):
            raise RequestRejected(f"{self._name} has no embeddings; use another provider.", provider=self._name)
        try:
            requests = dialect.embed(leave_out(call, self._leave_out) if self._leave_out else call)
            embeddings = dialect.read_embeddings([await self._ask(request) for request in requests])
            vectors = sum(isinstance(part, EmbeddingPart) for part in embeddings.answers[0].message.parts)
            inputs = sum(len(message.parts) for message in call.messages)
            if vectors != inputs:
                raise MalformedReply(f"{self._name} gave {vectors} vectors for {inputs} inputs.")
            return embeddings
        except ReportedError as reported:
            raise self._errors.from_event(reported.error, {}) from None
        except ProviderError as error:
            raise self._named(error) from error.__cause__

    async def count_tokens(self, call: ProviderCall) -> int | None:
        """How many tokens the request has by the provider's own count; ``None`` if it does not tell."""
        dialect = self._dialect
        if not isinstance(dialect, CountingDialect):
            return None
        try:
            return dialect.read_token_count(await self._ask(dialect.count_tokens(call)))
        except ProviderError as error:
            raise self._named(error) from error.__cause__

    async def models(self) -> Sequence[str]:
        """The models that it offers now."""
        try:
            return await self._models()
        except ProviderError as error:
            raise self._named(error) from error.__cause__

    async def _models(self) -> Sequence[str]:
        dialect = self._dialect
        request: WireRequest | None = dialect.list_models()
        models: list[str] = []
        for _ in range(MOST_PAGES):
            if request is None:
                break
            body = await self._ask(request)
            models += dialect.read_models(body)
            request = dialect.next_models(body) if isinstance(dialect, PagedModelsDialect) else None
        return models

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        return self._dialect.chat(leave_out(call, self._leave_out) if self._leave_out else call, stream=stream)

    async def _ask(self, request: WireRequest) -> bytes:
        response = await self._send(request)
        try:
            return await self._read(response)
        finally:
            await response.aclose()

    async def _send(self, wire: WireRequest) -> httpx2.Response:
        """Send a request; the response that comes back is a good one, and open."""
        headers = [*wire.headers, (b"content-length", b"%d" % len(wire.body))]
        if self._signer is not None:
            headers += await self._signer(wire)
        request = httpx2.Request(
            wire.method,
            wire.url,
            # With a stream of our own httpx adds no headers: it would look for each of them first.
            headers=headers,
            stream=httpx2.ByteStream(wire.body),
            extensions=self._extensions,
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx2.ConnectTimeout as error:
            raise ProviderTimedOut("connect", self._connect_timeout) from error
        except httpx2.ConnectError as error:
            lost = self._lost(error)
            lost.may_be_charged = False  # nothing of the request was sent
            raise lost from error
        except httpx2.TransportError as error:
            raise self._lost(error) from error
        if not 200 <= response.status_code < 300:
            try:
                raise self._errors.from_reply(response.status_code, response.headers, await beginning(response))
            finally:
                await response.aclose()
        return response

    async def _read(self, response: httpx2.Response) -> bytes:
        try:
            read, size = [], 0
            async for piece in pieces(response):
                read.append(piece)
                size += len(piece)
                if size > LARGEST_REPLY:
                    raise MalformedReply(f"The reply of {self._name} is larger than {LARGEST_REPLY} bytes.")
            return b"".join(read)
        except httpx2.TransportError as error:
            raise self._lost(error) from error
        except httpx2.DecodingError as error:
            raise MalformedReply(f"The reply of {self._name} is not in the encoding that it names.") from error

    def _lost(self, error: httpx2.TransportError) -> ConnectionFailed:
        return ConnectionFailed(
            f"No connection to {self._name} ({type(error).__name__}): check its base_url and whether it is running."
        )

    def _completion(self, body: bytes, response: httpx2.Response) -> Completion:
        try:
            return self._dialect.read_reply(body)
        except ReportedError as reported:
            raise self._errors.from_event(reported.error, response.headers) from None

    def _named(self, error: ProviderError) -> ProviderError:
        error.provider = self._name
        return error
