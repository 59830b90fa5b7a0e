"""``send2llm history``: the conversations that were held, or one of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import (
    count,
    local_time,
    message_text,
    note,
    show_messages,
    show_table,
    usd,
    write_json,
)
from send2llm.interfaces.cli.report_options import OPTIONS, as_of, tell_moment
from send2llm.interfaces.cli.service import DEFAULT_URL
from send2llm.interfaces.cli.url_parts import url_part

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument, ServiceClient

NUMBERS = ("messages", "tokens", "cost")
DISPENSABLE = ("tokens", "model", "state", "messages")
"""What a narrow terminal does not show."""

PAGE = 100
"""Conversations that are asked for at a time."""

PAGE_OF_THE_PAST = 500
"""The same of an earlier moment, where each page takes as long as all together."""

Chosen = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="Show this conversation instead of the list.", show_default=False),
]
At = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="As it was then: 2026-11-23T12:00 (UTC), or position:812 of the log; with ID also 5, its version.",
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many conversations to list.")]
Cursor = Annotated[str | None, typer.Option(help="Go on where an earlier list ended.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Only those last answered by this model.")]
Provider = Annotated[str | None, typer.Option(help="Only those last answered by this provider.")]
State = Annotated[str | None, typer.Option(help="Only those in this state: open, awaiting, closed or erased.")]
Query = Annotated[str | None, typer.Option("--query", "-q", help="Only those whose title has these words.")]
Label = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only those with this label; repeatable.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Only those started at this time or later.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only those started before this time.")]


def history(
    conversation: Chosen = None,
    *,
    at: At = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    model: Model = None,
    provider: Provider = None,
    state: State = None,
    query: Query = None,
    label: Label = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List conversations, the latest first, or show the one with ID."""
    filters = {
        "model": model,
        "provider": provider,
        "state": state,
        "q": query,
        "label": label or None,
        "started_after": since,
        "started_before": until,
    }
    when = as_of(at)
    with connect(url, OPTIONS) as client:
        if conversation is not None:
            found = client.get(f"/api/conversations/{url_part(conversation)}", at=when)
            write_json(found) if as_json else _show(found)
            return
        page = list_conversations(client, limit, cursor, {**filters, "at": when})
    write_json(page) if as_json else _show_list(page)


def list_conversations(
    client: "ServiceClient", limit: int | None, cursor: str | None, filters: Mapping[str, str | list[str] | None]
) -> "JsonDocument":
    """So many conversations, or all, as one page, however many the service's own pages took."""
    found: list[Any] = []
    size = PAGE if filters.get("at") is None else PAGE_OF_THE_PAST
    while True:
        wanted = size if limit is None else min(size, limit - len(found))
        page = client.get("/api/conversations", limit=wanted, cursor=cursor, **filters)
        found += page["data"]
        cursor = page.get("next_cursor")
        if cursor is None or len(found) == limit:
            return {**page, "data": found, "next_cursor": cursor}


def _show_list(page: "JsonDocument") -> None:
    rows = [
        (
            str(line["id"]),
            local_time(line["started_at"]),
            str(line["state"]),
            count(line["message_count"]),
            count((line.get("input_tokens") or 0) + (line.get("output_tokens") or 0)),
            usd(line.get("cost_usd")),
            str(line.get("model") or "-"),
            str(line.get("title") or ""),
        )
        for line in page["data"]
    ]
    if not rows:
        note('There is no such conversation yet. Start one with: send2llm send "Hello!"')
        return
    columns = ("id", "started", "state", "messages", "tokens", "cost", "model", "title")
    show_table(columns, rows, flexible="title", right=NUMBERS, dispensable=DISPENSABLE)
    if page["next_cursor"] is not None:
        note(f"There are more: --limit, or --cursor {page['next_cursor']}")
    tell_moment(page)


def _show(conversation: "JsonDocument") -> None:
    show_messages((message["role"], message_text(message)) for message in conversation["messages"])
    facts = [
        f"conversation {conversation['id']}",
        str(conversation["state"]),
        f"version {conversation['version']}",
    ]
    if conversation.get("as_of"):
        facts.append(local_time(conversation["as_of"]))
    facts += [f"{name}={value}" for name, value in (conversation.get("labels") or {}).items()]
    note(" · ".join(facts))
