"""The transport that carries calls to providers."""

import ssl

import httpx2

from send2llm.infrastructure.providers.aiohttp_transport import AiohttpTransport


def http_transport(*, certificates: str | None = None, proxy: str | None = None) -> httpx2.AsyncBaseTransport:
    """A transport for production: connections are kept and used again.

    ``certificates`` is a file of certificate authorities to trust instead of the system's, ``proxy`` the URL of an
    HTTP proxy. Adapters call the transport itself and not an ``httpx2.AsyncClient``, whose cookies, redirects and
    authentication they have no use for, and which costs half as much again for each call.
    """
    tls = ssl.create_default_context(cafile=certificates) if certificates else True
    return AiohttpTransport(tls=tls, proxy=proxy)
