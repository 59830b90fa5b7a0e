"""``send2llm feedback``: judge an answer."""

from typing import Annotated

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, ConversationId, Url
from send2llm.interfaces.cli.output import note, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL
from send2llm.interfaces.cli.url_parts import url_part

Score = Annotated[float, typer.Argument(min=-1, max=1, help="From -1 (bad) to 1 (good).", show_default=False)]
Completion = Annotated[
    str | None,
    typer.Option("--completion", metavar="ID", help="Judge this answer, not the whole conversation."),
]
Comment = Annotated[str, typer.Option(help="Why.")]


def feedback(
    conversation: ConversationId,
    score: Score,
    *,
    completion: Completion = None,
    comment: Comment = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Judge a conversation or one of its answers; the judgement becomes an event of it."""
    given: dict[str, object] = {"score": score, "comment": comment}
    if completion is not None:
        given["completion_id"] = completion
    with connect(url) as client:
        client.post(f"/api/conversations/{url_part(conversation)}/feedback", given)
    if as_json:
        write_json({"conversation_id": conversation, **given})
    else:
        note("Recorded.")
