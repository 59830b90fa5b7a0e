"""A client of the service's own API, for commands that do one thing after the other."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx2

from send2llm.interfaces.cli.errors import ConnectionLost, ServiceProblem
from send2llm.interfaces.cli.service import (
    CONNECT_TIMEOUT,
    base_url,
    client_options,
    failure,
    first_model,
    problem,
    read_document,
)

JsonDocument = dict[str, Any]

QUIET_TIMEOUT = 60.0
"""Seconds; a stream that is followed gives a sign of life every 15."""


class ServiceClient:
    """Speaks to the service; every method raises only ``CommandFailed`` errors, with what to do next."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        """``options`` says by which option of the command a parameter of the service was given."""
        self.url = base_url(url)
        self._options = options or {}
        self._http = httpx2.Client(**client_options(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: object) -> JsonDocument:
        """Read a document; parameters that are ``None`` are left out."""
        return self._ask("GET", path, params=_given(parameters))

    def post(self, path: str, body: Mapping[str, Any]) -> JsonDocument:
        """Send a command and return the reply, empty when there is none."""
        return self._ask("POST", path, json=body)

    def put(self, path: str, body: Mapping[str, Any]) -> JsonDocument:
        """Set something and return it."""
        return self._ask("PUT", path, json=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> JsonDocument:
        """Change something and return it."""
        return self._ask("PATCH", path, json=body)

    def delete(self, path: str) -> JsonDocument:
        """Remove something."""
        return self._ask("DELETE", path)

    def stream(
        self, path: str, body: Mapping[str, Any] | None = None, **parameters: object
    ) -> Iterator[tuple[str, JsonDocument]]:
        """Send a command, or ask (without a ``body``), and yield the server-sent events up to and with ``done``.

        Raises ``ServiceProblem`` for an ``error`` event, ``ConnectionLost`` for a stream that just ends.
        """
        request: dict[str, Any] = {"method": "GET"} if body is None else {"method": "POST", "json": body}
        with self._translated(), self._http.sse(path, params=_given(parameters), **request) as source:
            if not source.response.is_success:
                source.response.read()
                raise problem(source.response, self.url).in_words_of(self._options)
            for event in source:
                document = json.loads(event.data)
                if event.event == "error":
                    raise ServiceProblem.from_document(document)
                yield event.event, document
                if event.event == "done":
                    return
        raise ConnectionLost(self.url, "the answer has no end")

    def follow(self, path: str, last_id: int, **parameters: object) -> Iterator[JsonDocument]:
        """Yield what comes after ``last_id``, until the service ends the stream.

        Raises ``ServiceProblem`` for an ``error`` event, ``ConnectionLost`` when even the signs of life stay away.
        """
        headers = {"last-event-id": str(last_id)}
        timeout = httpx2.Timeout(QUIET_TIMEOUT, connect=CONNECT_TIMEOUT)
        # An event may be as large as a body that the service takes.
        stream = self._http.sse(path, params=_given(parameters), headers=headers, timeout=timeout, max_event_size=None)
        with self._translated(), stream as source:
            if not source.response.is_success:
                source.response.read()
                raise problem(source.response, self.url)
            for event in source:
                if not event.data:  # a sign of life
                    continue
                document = json.loads(event.data)
                if event.event == "error":
                    raise ServiceProblem.from_document(document)
                yield document

    def default_model(self) -> str:
        """The first model that the service offers."""
        return first_model(self.get("/v1/models"))

    def _ask(self, method: str, path: str, **arguments: Any) -> JsonDocument:
        with self._translated():
            response = self._http.request(method, path, **arguments)
        if not response.is_success:
            raise problem(response, self.url).in_words_of(self._options)
        return read_document(response, self.url)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TransportError as error:
            raise failure(error, self.url) from error


def _given(parameters: Mapping[str, object]) -> dict[str, str | list[str]]:
    return {
        name: list(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in parameters.items()
        if value is not None
    }
