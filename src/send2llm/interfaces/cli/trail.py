"""``send2llm audit trail``: everything that happened to one thing."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from send2llm.interfaces.cli.budget_naming import find
from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.events import gist
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import local_time, note, warn, write_columns, write_json
from send2llm.interfaces.cli.report_options import OPTIONS, At, as_of
from send2llm.interfaces.cli.service import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from send2llm.interfaces.cli.client import JsonDocument, ServiceClient

PAGE = 1000


def trail(
    *,
    conversation: Annotated[str | None, typer.Option(metavar="ID", help="A conversation.")] = None,
    completion: Annotated[str | None, typer.Option(metavar="ID", help="A call.")] = None,
    correlation: Annotated[str | None, typer.Option(metavar="ID", help="By its x-send2llm-request-id.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(metavar="KEY", help="What was sent with this key.")] = None,
    actor: Annotated[str | None, typer.Option(metavar="NAME", help="Who.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="NAME", help="A budget, by its scope or id.")] = None,
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this tenant; whose the key is.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only events after this position.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many.")] = None,
    texts: Annotated[bool, typer.Option("--texts", help="With what was said.")] = False,
    at: At = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Tell everything about a conversation, call, request, idempotency key, actor or budget, in its order.

    What was said is left out, unless --texts asks for it.
    """
    subject = {
        "conversation": conversation,
        "completion": completion,
        "correlation": correlation,
        "idempotency_key": idempotency_key,
        "actor": actor,
        "budget": budget,
    }
    named = {name: value for name, value in subject.items() if value is not None}
    if len(named) != 1:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in subject)
        raise CommandFailed(f"Name one thing whose trail you want: {options}.")
    with connect(url, OPTIONS) as client:
        if budget is not None:
            named["budget"] = find(client, budget, None, None, None, None)
        pages = _Pages(client, {**named, "tenant": tenant, "texts": str(texts).lower(), "at": as_of(at)}, after)
        told = []
        for event in pages.events():
            told.append(event)
            if not as_json:
                _write(event)
            if len(told) == limit:
                break
    if as_json:
        write_json({"subject": named, "data": told, "known_to": pages.known_to})
        return
    _sum_up(told, pages.known_to)


class _Pages:
    def __init__(self, client: "ServiceClient", query: dict[str, Any], after: int) -> None:
        self._client = client
        self._query = query
        self._after = after
        self.known_to = 0

    def events(self) -> "Iterator[JsonDocument]":
        more = True
        while more:
            page = self._client.get("/api/audit/trail", after=self._after, limit=PAGE, **self._query)
            more, self._after, self.known_to = page["more"], page["reached"], page["known_to"]
            yield from page["data"]


def _write(event: "JsonDocument") -> None:
    left_out = f" (not shown: {', '.join(event['left_out'])})" if event["left_out"] else ""
    write_columns(
        (f"{event['position']:>8}", "dim"),
        (local_time(event["occurred_at"]), "dim"),
        (f"{event['topic']:<34}", "bold"),
        (f"{event['stream']} v{event['version']}", "cyan"),
        (f"by {event['actor']} in {event['correlation_id']}", "dim"),
        (gist(event["data"]) + left_out, ""),
    )


def _sum_up(events: "list[JsonDocument]", known_to: int) -> None:
    if not events:
        note(f"Nothing is known about that, up to position {known_to}.")
        return
    streams = Counter(event["stream"] for event in events)
    requests = {event["correlation_id"] for event in events}
    note(f"{len(events)} events in {len(streams)} streams, of {len(requests)} requests; known up to {known_to}.")
    if known_to < events[-1]["position"]:
        warn("The projection `trail` is behind; `send2llm projections` shows it.")
