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

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument, ServiceClient

PAGE = 1000
"""Events that are asked for at a time; the most that the service gives."""

POLL_SECONDS = 1.0

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
    str | None, typer.Option(metavar="TOPIC", help="Only these, such as conversation.completion_received.")
]


def events(
    *,
    follow: Follow = False,
    after: After = None,
    limit: Limit = None,
    conversation: OfConversation = None,
    topic: Topic = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List events: the last ones, or all after a position; with --json one to a line."""
    with connect(url) as client:
        feed = Feed(client, conversation, topic)
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

    def __init__(self, client: "ServiceClient", conversation: str | None, topic: str | None) -> None:
        self._client = client
        self._path = f"/api/conversations/{conversation}/events" if conversation else "/api/events"
        self._order = "version" if conversation else "position"
        self._topic = topic
        self.reached = 0
        """How far the feed has been read: a position, or a version of the conversation."""

    def recent(self, number: int) -> int:
        """Where the last ``number`` events begin; of a topic, or a conversation, that is the very beginning."""
        if self._order == "version" or (self._topic and number):
            return 0
        head = int(self._client.get(self._path, after=0, limit=1)["head"])
        return max(0, head - number)

    def stored(self, after: int) -> Iterator["JsonDocument"]:
        """All events after ``after`` that are stored by now."""
        self.reached = after
        while True:
            page = self._client.get(
                self._path,
                after=self.reached,
                limit=PAGE,
                topic=self._topic if self._order == "position" else None,
            )
            for event in page["data"]:
                self.reached = event[self._order]
                if self._topic in (None, event["topic"]):
                    yield event
            if len(page["data"]) < PAGE:
                return

    def follow(self, after: int) -> Iterator["JsonDocument"]:
        """All events after ``after``, stored by now or later; a service that goes away is waited for."""
        self.reached = after
        away = False
        while True:
            try:
                yield from self.stored(self.reached)
                away = False
            except (ServiceUnreachable, ConnectionLost) as error:
                if not away:
                    warn(f"{error} Waiting for it.")
                away = True
            time.sleep(POLL_SECONDS)


def _write(event: "JsonDocument") -> None:
    write_columns(
        (f"{event['position']:>8}", "dim"),
        (local_time(event["occurred_at"]), "dim"),
        (f"{event['topic']:<34}", "bold"),
        (f"{event['stream']} v{event['version']}", "cyan"),
        (_gist(event["data"]), ""),
    )


def _gist(data: Any) -> str:
    """The event's own facts on one line; the terminal cuts what does not fit."""
    if not isinstance(data, dict):
        return json.dumps(data, ensure_ascii=False)
    told = {name: value for name, value in data.items() if value not in (None, "", [], {})}
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in told.items()
    )
