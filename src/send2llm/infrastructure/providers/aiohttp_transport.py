"""The httpx API on aiohttp's connections.

httpx's own pool looks through all of its connections for every request, so that a call costs more the more calls
there are at once; aiohttp's does not, and parses HTTP in C. Code and tests keep the httpx API: ``MockTransport`` and
``ASGITransport`` stand in for this one.
"""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx2
from multidict import CIMultiDict
from yarl import URL

LARGE_BODY = 2**20
"""Bytes from which on aiohttp wants a body as a file, to send it in pieces that let others run meanwhile."""

AUTOMATIC_HEADERS = ("accept", "accept-encoding", "content-type", "user-agent")
"""Headers that aiohttp adds on its own; a transport sends what it is told to."""

AIOHTTP_ERRORS = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""All that aiohttp raises on purpose or lets through."""

_ERRORS: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    # In this order: aiohttp's errors are often several things at once.
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.SocketTimeoutError, httpx2.ReadTimeout),
    (asyncio.TimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx2.ProxyError),
    (aiohttp.ClientHttpProxyError, httpx2.ProxyError),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ClientConnectorCertificateError, httpx2.ConnectError),
    (aiohttp.ServerFingerprintMismatch, httpx2.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx2.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx2.RemoteProtocolError),
    (aiohttp.NonHttpUrlClientError, httpx2.UnsupportedProtocol),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.ClientConnectionResetError, httpx2.WriteError),
    (aiohttp.ClientError, httpx2.ReadError),
    (OSError, httpx2.ReadError),
)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends requests through one aiohttp session, made with the first request on the loop that it runs on.

    There is no limit to the connections: whoever limits calls does it with more knowledge. No cookies, redirects,
    decompression, or proxies of the environment: what is wanted of these, the caller does. ``keepalive`` is how many
    seconds an idle connection is kept. Of httpx's timeouts ``connect`` (name look-up, TCP and TLS) and ``read``
    count; there is no waiting for a pool.
    """

    def __init__(self, *, tls: ssl.SSLContext | bool = True, proxy: str | None = None, keepalive: float = 60.0) -> None:
        self._tls = tls
        self._proxy = proxy
        self._keepalive = keepalive
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._timeouts: dict[tuple[float | None, float | None], aiohttp.ClientTimeout] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the response's stream brings the body as it comes, and must be closed."""
        session = self._session or self._open()
        body = await request.aread()
        try:
            response = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=CIMultiDict(request.headers.multi_items()),
                data=(io.BytesIO(body) if len(body) > LARGE_BODY else body) or None,
                allow_redirects=False,
                timeout=self._timeout(request),
            )
        except AIOHTTP_ERRORS as error:
            raise _translated(error, request) from error
        return httpx2.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response, request),
            request=request,
            extensions={"reason_phrase": (response.reason or "").encode("ascii", "replace")},
        )

    async def aclose(self) -> None:
        """Close all connections; requests sent afterwards fail."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("The transport has been closed; make a new one.")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls, keepalive_timeout=self._keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=AUTOMATIC_HEADERS,
            auto_decompress=False,
            trust_env=False,
            proxy=self._proxy,
        )
        return self._session

    def _timeout(self, request: httpx2.Request) -> aiohttp.ClientTimeout:
        timeouts = request.extensions.get("timeout") or {}
        key = (timeouts.get("connect"), timeouts.get("read"))
        known = self._timeouts.get(key)
        if known is None:
            known = aiohttp.ClientTimeout(connect=key[0], sock_read=key[1])
            if len(self._timeouts) < 100:  # callers have a handful of timeouts, not one for each request
                self._timeouts[key] = known
        return known


class _Body(httpx2.AsyncByteStream):
    """The body of a response, in the pieces that the network brings it in."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while piece := await content.readany():
                yield piece
        except AIOHTTP_ERRORS as error:
            raise _translated(error, self._request) from error

    async def aclose(self) -> None:
        """Keep the connection if the body has been read, else drop it."""
        self._response.close()


def _translated(error: Exception, request: httpx2.Request) -> httpx2.TransportError:
    ours = next(ours for theirs, ours in _ERRORS if isinstance(error, theirs))
    return ours(str(error) or type(error).__name__, request=request)
