"""``send2llm close``: end a conversation."""

from typing import Annotated

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, ConversationId, Url
from send2llm.interfaces.cli.output import note, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL
from send2llm.interfaces.cli.url_parts import url_part

Reason = Annotated[str, typer.Option(help="Why.")]


def close(
    conversation: ConversationId, *, reason: Reason = "", as_json: AsJson = False, url: Url = DEFAULT_URL
) -> None:
    """Close a conversation: nothing more can be said in it, and it stays in the history."""
    with connect(url) as client:
        closed = client.post(f"/api/conversations/{url_part(conversation)}/close", {"reason": reason})
    if as_json:
        write_json(closed)
    else:
        note(f"The conversation {conversation} is closed.")
