"""What distinguishes one family of providers from another, for ``HttpProvider``: addresses, bodies, streams.

A dialect is pure: it writes requests and reads replies. Sending, waiting, closing and the mapping of errors are the
same for all and not its business.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import httpx2
import orjson

from send2llm import __version__
from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Completion, Delta
from send2llm.domain.errors import ProviderError


class Event(NamedTuple):
    """One event of a stream: its ``data``, and its ``raw`` bytes with all framing, to be passed on unchanged."""

    data: bytes
    raw: bytes


class Splitter(Protocol):
    """Splits the bytes of a stream into events, wherever the network cut them."""

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end in this piece; raises ``EventTooLarge``, or ``MalformedReply``."""
        ...

    def end(self) -> list[Event]:
        """What is left when the stream has ended."""
        ...


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it goes over the wire."""

    method: str
    url: httpx2.URL
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""


Signer = Callable[[WireRequest], Awaitable[Sequence[tuple[bytes, bytes]]]]
"""Gives the further headers that prove who asks, for providers where a fixed key is not enough."""


class ReportedError(Exception):
    """A reply or an event with status 200 holds an ``error``: an object, or a text, as the provider sent it."""

    def __init__(self, error: object) -> None:
        super().__init__("reported by the provider")
        self.error = error


class StreamReader(Protocol):
    """Reads the events of one stream."""

    done: bool
    """Whether the end mark has come."""

    @property
    def is_whole(self) -> bool:
        """Whether a stream that ends here without its end mark counts as whole."""
        ...

    def read(self, event: Event) -> Sequence[Delta]:
        """The pieces in one event; raises ``MalformedReply``, ``ReportedError``, any ``ProviderError``."""
        ...


class Dialect(Protocol):
    """How a family of providers wants to be asked for chat."""

    def chat(self, call: ProviderCall, *, stream: bool) -> WireRequest:
        """The request; raises ``RequestRejected`` that names the field which cannot be said in this format."""
        ...

    def read_reply(self, body: bytes) -> Completion:
        """Read a whole reply; raises ``MalformedReply``, ``ReportedError``."""
        ...

    def splitter(self) -> Splitter:
        """For the bytes of one stream."""
        ...

    def reader(self) -> StreamReader:
        """For the events of one stream."""
        ...

    def list_models(self) -> WireRequest:
        """The request for the list of models."""
        ...

    def read_models(self, body: bytes) -> Sequence[str]:
        """The names in that list; raises ``MalformedReply``."""
        ...


@runtime_checkable
class EmbeddingDialect(Protocol):
    """How it wants to be asked for embeddings, if it has them."""

    def embed(self, call: ProviderCall) -> Sequence[WireRequest]:
        """One request, or several where one cannot hold all texts; raises ``RequestRejected``."""
        ...

    def read_embeddings(self, bodies: Sequence[bytes]) -> Completion:
        """One answer whose message has an ``EmbeddingPart`` for each text, in their order."""
        ...


@runtime_checkable
class CountingDialect(Protocol):
    """How it wants to be asked how many tokens a request has, if it tells."""

    def count_tokens(self, call: ProviderCall) -> WireRequest:
        """The request; raises ``RequestRejected``."""
        ...

    def read_token_count(self, body: bytes) -> int:
        """The number; raises ``MalformedReply``."""
        ...


@runtime_checkable
class PagedModelsDialect(Protocol):
    """How it wants to be asked for the rest of a list of models that comes in pages."""

    def next_models(self, body: bytes) -> WireRequest | None:
        """The request for the page behind the one in ``body``; ``None`` if that is the last."""
        ...


@runtime_checkable
class ErrorDialect(Protocol):
    """Error codes of its own, beside those that are known of all providers."""

    error_kinds: Mapping[str, type[ProviderError]]
    """By code, in lower case."""


class Endpoint:
    """Where a provider is, and the headers of every request to it.

    ``base_url`` is what the official SDK would be given; a query in it goes along with every request. ``headers`` win
    over the usual ones.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._base = httpx2.URL(base_url)
        self._urls: dict[str, httpx2.URL] = {}
        fields = {
            "host": self._base.netloc.decode("ascii"),
            "user-agent": f"send2llm/{__version__}",
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",  # what comes is passed on as it is; the saving would be eaten by the work
            "content-type": "application/json",
        }
        fields |= {name.lower(): value for name, value in headers.items()}
        self.headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()]

    @property
    def host(self) -> str:
        """The host's name."""
        return self._base.host

    def post(self, path: str, body: object, *headers: tuple[bytes, bytes], query: str = "") -> WireRequest:
        """A request with a JSON body, below the base URL."""
        return WireRequest(
            "POST", self._below(path, query), [*self.headers, *headers], orjson.dumps(body, default=dict)
        )

    def get(self, path: str, *headers: tuple[bytes, bytes], query: str = "") -> WireRequest:
        """A request without a body."""
        return WireRequest("GET", self._below(path, query), [*self.headers, *headers])

    def _below(self, path: str, query: str) -> httpx2.URL:
        key = f"{path}?{query}"
        url = self._urls.get(key)
        if url is None:
            both = "&".join(filter(None, [self._base.query.decode("ascii"), query]))
            url = self._base.copy_with(path=self._base.path.rstrip("/") + path, query=both.encode("ascii") or None)
            if len(self._urls) < MOST_URLS:
                self._urls[key] = url
        return url


MOST_URLS = 1000
"""Addresses that are remembered; some hold a model's name, which callers choose."""
