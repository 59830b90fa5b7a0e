"""The transport behaves as httpx's own would, without what nobody asked for."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from send2llm.infrastructure.providers.aiohttp_transport import AiohttpTransport
from send2llm.infrastructure.providers.http_client import http_transport
from send2llm.testing.openai_server import FakeOpenAIServer, Reply, StreamReply


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=AiohttpTransport()) as client:
        yield client


async def test_it_serves_an_ordinary_client(
    server: FakeOpenAIServer, base_url: str, client: httpx2.AsyncClient
) -> None:
    response = await client.post(f"{base_url}/chat/completions?a=b%2Fc", json={"model": "m"}, headers={"x-a": "1"})

    assert response.json()["object"] == "chat.completion"
    assert (response.status_code, response.reason_phrase) == (200, "OK")
    assert server.requests[0].query == "a=b%2Fc"
    assert server.requests[0].headers["x-a"] == "1"


async def test_headers_are_those_of_the_request_and_no_others(server: FakeOpenAIServer, base_url: str) -> None:
    transport = AiohttpTransport()
    headers = {"host": "elsewhere", "content-length": "2"}
    request = httpx2.Request("POST", f"{base_url}/chat/completions", headers=headers, stream=httpx2.ByteStream(b"{}"))

    await (await transport.handle_async_request(request)).aclose()
    await transport.aclose()

    assert server.requests[0].headers == headers


async def test_redirects_cookies_and_compression_are_left_to_the_caller(
    server: FakeOpenAIServer, base_url: str, client: httpx2.AsyncClient
) -> None:
    url = f"{base_url}/chat/completions"
    server.script(
        Reply(b"", 307, {"location": url, "set-cookie": "a=b"}),
        Reply(gzip.compress(b"hello"), headers={"content-encoding": "gzip"}),
        Reply(gzip.compress(b"hello"), headers={"content-encoding": "gzip"}),
    )

    assert (await client.post(url, json={})).status_code == 307
    assert (await client.post(url, json={})).text == "hello"
    async with client.stream("POST", url, json={}) as response:
        assert gzip.decompress(b"".join([piece async for piece in response.aiter_raw()])) == b"hello"


async def test_the_environments_proxies_are_not_used(
    base_url: str, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert (await client.get(f"{base_url}/models")).status_code == 200


async def test_a_read_timeout(server: FakeOpenAIServer, base_url: str, client: httpx2.AsyncClient) -> None:
    server.script(Reply.of(gate=asyncio.Event()), StreamReply([b"x", asyncio.Event()]))

    for _ in range(2):
        with pytest.raises(httpx2.ReadTimeout):
            await client.post(f"{base_url}/chat/completions", json={}, timeout=httpx2.Timeout(None, read=0.02))


async def test_a_connect_timeout() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await finished.wait()
        writer.close()

    finished = asyncio.Event()
    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    transport = AiohttpTransport()
    async with listening, httpx2.AsyncClient(transport=transport) as client:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(httpx2.ConnectTimeout):  # it accepts, and never answers the TLS handshake
            await client.get(f"https://127.0.0.1:{port}/", timeout=httpx2.Timeout(None, connect=0.05))
        finished.set()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (lambda base: base.replace("http:", "https:"), httpx2.ConnectError),
        (lambda base: base.replace("http:", "ftp:"), httpx2.UnsupportedProtocol),
        (lambda _: "http://name.invalid/", httpx2.ConnectError),
    ],
)
async def test_errors_are_httpxs(base_url: str, url: Callable[[str], str], kind: type[Exception]) -> None:
    transport = AiohttpTransport()

    with pytest.raises(kind):
        await transport.handle_async_request(httpx2.Request("GET", url(base_url)))
    await transport.aclose()


async def test_a_configured_proxy_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    transport = http_transport(proxy=proxy)

    with pytest.raises(httpx2.ProxyError):
        await transport.handle_async_request(httpx2.Request("GET", "http://127.0.0.1:9/"))
    await transport.aclose()


async def test_a_closed_transport_stays_closed(base_url: str) -> None:
    transport = AiohttpTransport()
    await transport.aclose()

    with pytest.raises(RuntimeError, match="has been closed"):
        await transport.handle_async_request(httpx2.Request("GET", base_url))


def test_certificates_of_ones_own_must_be_certificates(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("tls") / "authorities.pem"
    file.write_text("nothing")

    with pytest.raises(ssl.SSLError):
        http_transport(certificates=str(file))
