"""``send2llm events``: what happened, in the order in which it was stored."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import ConnectionLost, ServiceUnreachable
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import local_time, note, warn, write_columns, write_json_line
from send2llm.interfaces.cli.service import DEFAULT_URL
from send2llm.interfaces.cli.url_parts import url_part

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument, ServiceClient

PAGE = 1000
"""Events that are asked for at a time; the most that the service gives."""

RECONNECT_SECONDS = 1.0

LAST = 50
"""Events that are listed when nobody says from where."""

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens next, until Ctrl-C.")]
After = Annotated[
    int | None,
    typer.Option(min=0, help="Only events after this position (after this version, with --conversation)."),
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many.")]
OfConversation = Annotated[
    str | None,
    typer.Option("--conversation", "-c", metavar="ID", help="Only the events of this conversation."),
]
Topic = Annotated[
    list[str] | None,
    typer.Option(metavar="TOPIC", help="Only these, such as conversation.completion_received; several are possible."),
]
Tenant = Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this tenant.")]


def events(
    *,
    follow: Follow = False,
    after: After = None,
    limit: Limit = None,
    conversation: OfConversation = None,
    topic: Topic = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List events: the last ones, or all after a position; with --json one to a line."""
    with connect(url) as client:
        feed = Feed(client, conversation, topic or [], tenant)
        if after is None:
            after = feed.recent(0 if follow and limit is None else limit or LAST)
        shown = 0
        for event in feed.follow(after) if follow else feed.stored(after):
            write_json_line(event) if as_json else _write(event)
            shown += 1
            if shown == limit:
                return
    if not shown:
        note("There are no such events.")


class Feed:
    """The events of everything, or of one conversation."""

    def __init__(
        self, client: "ServiceClient", conversation: str | None, topics: list[str], tenant: str | None
    ) -> None:
        self._client = client
        self._conversation = conversation
        self._order = "version" if conversation else "position"
        self._topics = topics
        self._wanted = {"topic": topics, "tenant": tenant}
        self._tenant = tenant
        self.reached = 0
        """How far the feed has been read: a position, or a version of the conversation."""

    def recent(self, number: int) -> int:
        """Where the last ``number`` events begin; of some topics, or a conversation, that is the very beginning."""
        if self._conversation or (number and (self._topics or self._tenant)):
            return 0
        head = int(self._client.get("/api/events", after=0, limit=1)["head"])
        return max(0, head - number)

    def stored(self, after: int) -> Iterator["JsonDocument"]:
        """All events after ``after`` that are stored by now."""
        self.reached = after
        while True:
            page = self._page()
            for event in page["data"]:
                self.reached = event[self._order]
                if self._takes(event):
                    yield event
            if not page["data"]:
                return
            self.reached = max(self.reached, page.get("reached", 0))

    def follow(self, after: int) -> Iterator["JsonDocument"]:
        """All events after ``after``, stored by now or later; a service that goes away is waited for."""
        self.reached = after
        stream = f"conversation-{self._conversation}" if self._conversation else None
        if self._conversation:
            self._page()  # if there is no such conversation, it is better said than waited for
        position = 0 if self._conversation else after
        away = False
        while True:
            try:
                for event in self._client.follow("/api/events", position, stream=stream, **self._wanted):
                    away, position = False, event["position"]
                    if event[self._order] > after:
                        yield event
            except (ServiceUnreachable, ConnectionLost) as error:
                if not away:
                    warn(f"{error} Waiting for it.")
                away = True
            time.sleep(RECONNECT_SECONDS)

    def _page(self) -> "JsonDocument":
        if self._conversation:
            path = f"/api/conversations/{url_part(self._conversation)}/events"
            return self._client.get(path, after=self.reached, limit=PAGE)
        return self._client.get("/api/events", after=self.reached, limit=PAGE, **self._wanted)

    def _takes(self, event: "JsonDocument") -> bool:
        return (not self._topics or event["topic"] in self._topics) and self._tenant in (None, event["tenant"])


def _write(event: "JsonDocument") -> None:
    write_columns(
        (f"{event['position']:>8}", "dim"),
        (local_time(event["occurred_at"]), "dim"),
        (f"{event['topic']:<34}", "bold"),
        (f"{event['stream']} v{event['version']}", "cyan"),
        (gist(event["data"]), ""),
    )


def gist(data: Any) -> str:
    """The event's own facts on one line; the terminal cuts what does not fit."""
    if not isinstance(data, dict):
        return json.dumps(data, ensure_ascii=False)
    told = {name: value for name, value in data.items() if value not in (None, "", [], {})}
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in told.items()
    )
