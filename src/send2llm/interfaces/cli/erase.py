"""``send2llm erase``: give up what was said in conversations."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import ServiceProblem
from send2llm.interfaces.cli.history import list_conversations
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import note, write_json
from send2llm.interfaces.cli.progress import progress_bar
from send2llm.interfaces.cli.service import DEFAULT_URL

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import ServiceClient

Conversations = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID...", help="The conversations' ids; - reads them from standard input.", show_default=False
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Instead of ids: all conversations with this label; repeatable."),
]
Reason = Annotated[str, typer.Option(help="Why; it stays, so name nobody in it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


@dataclass
class _Done:
    erased: list[Any] = field(default_factory=list)
    refused: list[tuple[str, ServiceProblem]] = field(default_factory=list)


def erase(
    conversations: Conversations = None,
    *,
    label: Label = None,
    reason: Reason = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Erase what was said in conversations, for ever; what they cost, and when, stays.

    The key under which the texts are encrypted is destroyed. Summaries of a conversation go with it; branches of it are
    conversations of their own. Erasing an erased conversation changes nothing. What cannot be erased does not stop the
    rest; it is told at the end.
    """
    if bool(conversations) == bool(label):
        raise typer.BadParameter("give either ids or --label.")
    if conversations == ["-"] and not yes:
        raise typer.BadParameter("with ids from standard input nobody can be asked: add --yes.")
    done = _Done()
    with connect(url) as client:
        ids = _labelled(client, label) if label else _named(conversations or [], done)
        if ids and not yes:
            typer.confirm(f"Erase what was said in {_how_many(ids)}? This cannot be undone.", abort=True, err=True)
        _erase(client, ids, reason, done)
    if as_json:
        refused = [{"id": one, "code": problem.problem, "detail": str(problem)} for one, problem in done.refused]
        write_json({"data": done.erased, "refused": refused})
    else:
        _tell(done)
    if done.refused:
        raise typer.Exit(1)


def _named(ids: list[str], done: _Done) -> list[str]:
    """The ids among what was given; the service is asked for nothing else, which might be another address of it."""
    given = sys.stdin.read().split() if ids == ["-"] else ids
    named: list[str] = []
    for one in given:
        try:
            named.append(str(UUID(one.removeprefix("conversation-"))))  # exports and events have names of streams
        except ValueError:
            done.refused.append((one, _no_id()))
    return named


def _no_id() -> ServiceProblem:
    message = "It is not the id of a conversation. `send2llm history` lists the conversations."
    return ServiceProblem(message, status=0, problem="invalid_request")


def _labelled(client: "ServiceClient", labels: list[str]) -> list[str]:
    found = list_conversations(client, None, None, {"label": labels})["data"]
    return [str(one["id"]) for one in found if one["state"] != "erased"]


def _erase(client: "ServiceClient", ids: Sequence[str], reason: str, done: _Done) -> None:
    with progress_bar("Erasing", "conversations") as told:
        for number, one in enumerate(ids, 1):
            try:
                done.erased.append(client.post(f"/api/conversations/{one}/erase", {"reason": reason}))
            except ServiceProblem as problem:
                done.refused.append((one, problem))
            told(number, len(ids))


def _tell(done: _Done) -> None:
    for one, problem in done.refused:
        note(f"{one} is not erased: {problem}")
    if done.erased:
        note(f"What was said in {_how_many([one['id'] for one in done.erased])} is erased.")
    elif not done.refused:
        note("There is no such conversation, or it is erased already.")


def _how_many(ids: Sequence[str]) -> str:
    return f"the conversation {ids[0]}" if len(ids) == 1 else f"{len(ids)} conversations"
