"""Bodies of HTTP responses, read in the pieces that the network brings."""

from collections.abc import AsyncIterator
from typing import cast

import httpx2

from send2llm.infrastructure.providers.error_bodies import LARGEST_BODY


def pieces(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The pieces of a body as they come.

    Straight from the stream, unless it is compressed: httpx's own iterators cost more than reading does.
    """
    if "content-encoding" in response.headers:
        return response.aiter_bytes()
    return aiter(cast("httpx2.AsyncByteStream", response.stream))


async def beginning(response: httpx2.Response) -> bytes:
    """As much of the body of an error as is worth reading; what cannot be read is nothing."""
    read = b""
    try:
        async for piece in pieces(response):
            read += piece
            if len(read) >= LARGEST_BODY:
                break
    except (httpx2.TransportError, httpx2.DecodingError):
        pass
    return read[:LARGEST_BODY]
