"""Providers that speak the format of OpenAI's chat completions: OpenAI and the many that follow it."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence

import httpx2
import orjson

from send2llm import __version__
from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Delta, deltas_of
from send2llm.domain.errors import ConnectionFailed, MalformedReply, ProviderError, ProviderTimedOut, StreamBroken
from send2llm.infrastructure.formats import openai_chat
from send2llm.infrastructure.providers.http_client import http_transport
from send2llm.infrastructure.providers.openai_errors import OpenAIErrors
from send2llm.infrastructure.providers.openai_stream import batches_of
from send2llm.infrastructure.providers.response_bodies import beginning, pieces

CONNECT_TIMEOUT = 10.0
"""Seconds for name look-up, TCP and TLS. The other timeouts belong to the application."""

LARGEST_REPLY = 64 * 1024 * 1024
"""Bytes, unpacked: more than any answer, pictures included, and less than would harm the service."""

_SECRET_HEADER = re.compile(r"auth|key|token|secret", re.IGNORECASE)


class OpenAICompatibleProvider:
    """A ``Provider`` over HTTP.

    ``base_url`` is what the official SDK would be given (``https://api.openai.com/v1``); a query in it goes along
    with every call. ``headers`` are sent as well, and win over the usual ones. ``output_limit`` is the field for a
    limit that the caller did not name, ``stream_usage`` whether streams are asked to report their usage. The
    ``transport`` is closed with the provider.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        output_limit: openai_chat.OutputLimitField | None = None,
        stream_usage: bool = True,
    ) -> None:
        base = httpx2.URL(base_url)
        self._name = name
        self._transport = transport or http_transport()
        self._chat_url = _below(base, "/chat/completions")
        self._models_url = _below(base, "/models")
        self._connect_timeout = connect_timeout
        self._extensions = {"timeout": {"connect": connect_timeout, "read": None, "write": None, "pool": None}}
        self._headers = _headers(base, api_key, headers or {})
        self._errors = OpenAIErrors(name, _secrets(api_key, headers or {}))
        self._stream_usage = stream_usage
        self._output_limit: openai_chat.OutputLimitField = output_limit or (
            "max_completion_tokens" if base.host == "api.openai.com" else "max_tokens"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    @property
    def name(self) -> str:
        """The name that it has in the configuration."""
        return self._name

    async def complete(self, call: ProviderCall) -> Completion:
        """Ask, and wait for the whole reply."""
        response = await self._send("POST", self._chat_url, self._body(call, stream=False))
        try:
            return self._completion(await self._read(response), response)
        except ProviderError as error:
            raise self._named(error) from error.__cause__
        finally:
            await response.aclose()

    async def stream(self, call: ProviderCall) -> AsyncIterator[Sequence[Delta]]:
        """Ask, and yield what comes as it comes.

        A stream that ends without its end mark counts as whole if every answer in it has a finish reason: some
        servers never send the mark. Else it is broken.
        """
        response = await self._send("POST", self._chat_url, self._body(call, stream=True))
        try:
            if response.headers.get("content-type", "").startswith("application/json"):
                # The server does not stream, or has an error to report.
                yield deltas_of(self._completion(await self._read(response), response))
                return
            async for batch in batches_of(response, self._errors):
                yield batch
        except ProviderError as error:
            raise self._named(error) from error.__cause__
        except httpx2.TransportError as error:
            raise StreamBroken(
                f"The connection to {self._name} was lost in mid-answer.", provider=self._name
            ) from error
        finally:
            await response.aclose()

    async def models(self) -> Sequence[str]:
        """The models that it offers now."""
        response = await self._send("GET", self._models_url)
        try:
            body = await self._read(response)
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise MalformedReply(
                f"{self._name} lists its models in something that is not JSON.", provider=self._name
            ) from None
        finally:
            await response.aclose()
        listed = parsed.get("data", parsed.get("models")) if isinstance(parsed, dict) else parsed
        entries = listed if isinstance(listed, list) else []
        return [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _body(self, call: ProviderCall, *, stream: bool) -> bytes:
        body = openai_chat.write_request(
            call.model,
            call.messages,
            call.parameters,
            stream=stream,
            stream_usage=self._stream_usage,
            output_limit=self._output_limit,
        )
        return orjson.dumps(body, default=dict)

    async def _send(self, method: str, url: httpx2.URL, body: bytes = b"") -> httpx2.Response:
        """Send a request; the response that comes back is a good one, and open."""
        request = httpx2.Request(
            method,
            url,
            # With a stream of our own httpx adds no headers: it would look for each of them first.
            headers=[*self._headers, (b"content-length", b"%d" % len(body))],
            stream=httpx2.ByteStream(body),
            extensions=self._extensions,
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx2.ConnectTimeout as error:
            raise ProviderTimedOut("connect", self._connect_timeout, provider=self._name) from error
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
            f"No connection to {self._name} ({type(error).__name__}): check its base_url and whether it is running.",
            provider=self._name,
        )

    def _completion(self, body: bytes, response: httpx2.Response) -> Completion:
        parsed = openai_chat.parse_reply(body)
        if parsed.get("error"):
            raise self._errors.from_event(parsed["error"], response.headers)
        return openai_chat.read_reply(body, parsed)

    def _named(self, error: ProviderError) -> ProviderError:
        error.provider = self._name
        return error


def _below(base: httpx2.URL, path: str) -> httpx2.URL:
    return base.copy_with(path=base.path.rstrip("/") + path)


def _secrets(api_key: str | None, headers: Mapping[str, str]) -> list[str]:
    return [api_key or "", *(value for name, value in headers.items() if _SECRET_HEADER.search(name))]


def _headers(base: httpx2.URL, api_key: str | None, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    fields = {
        "host": base.netloc.decode("ascii"),
        "user-agent": f"send2llm/{__version__}",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",  # what comes is passed on as it is; the saving would be eaten by the work
        "content-type": "application/json",
    }
    if api_key:
        fields["authorization"] = f"Bearer {api_key}"
    fields |= {name.lower(): value for name, value in headers.items()}
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()]
