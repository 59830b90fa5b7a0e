"""``send2llm erase``: give up what was said in conversations."""

import sys
from typing import Annotated

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import note, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL

Conversations = Annotated[
    list[str], typer.Argument(metavar="ID...", help="The conversations' ids; - reads them from standard input.")
]
Reason = Annotated[str, typer.Option(help="Why; it stays, so name nobody in it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


def erase(
    conversations: Conversations,
    *,
    reason: Reason = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Erase what was said in conversations, for ever; what they cost, and when, stays.

    The key under which the texts are encrypted is destroyed. Summaries of a conversation go with it; branches of it are
    conversations of their own. Erasing an erased conversation changes nothing.
    """
    ids = sys.stdin.read().split() if conversations == ["-"] else conversations
    if not yes:
        if conversations == ["-"]:
            raise typer.BadParameter("with ids from standard input nobody can be asked: add --yes.")
        typer.confirm(f"Erase what was said in {_how_many(ids)}? This cannot be undone.", abort=True, err=True)
    with connect(url) as client:
        erased = [client.post(f"/api/conversations/{one}/erase", {"reason": reason}) for one in ids]
    if as_json:
        write_json({"data": erased})
    else:
        note(f"What was said in {_how_many(ids)} is erased.")


def _how_many(ids: list[str]) -> str:
    return f"the conversation {ids[0]}" if len(ids) == 1 else f"{len(ids)} conversations"
