"""``send2llm send``: say something to a model, or send a whole file of conversations."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from send2llm.interfaces.cli.asking import Asking
from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.last_conversation import LastConversation, recall, remember
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import count, message_text, note, usd, warn, write, write_json
from send2llm.interfaces.cli.prompt import read_prompt
from send2llm.interfaces.cli.service import DEFAULT_URL
from send2llm.interfaces.cli.url_parts import url_part

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument, ServiceClient

DEFAULT_CONCURRENCY = 4
DEFAULT_PATIENCE = 300.0

_BATCH = "Many conversations at once"

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="What to say; - stands for standard input.", show_default=False),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="SEND2LLM_MODEL",
        help="Who answers; by default the first model that is offered.",
    ),
]
Conversation = Annotated[
    str | None, typer.Option("--conversation", "-c", metavar="ID", help="Go on with this conversation.")
]
Continue = Annotated[bool, typer.Option("--continue", "-C", help="Go on with the last conversation.")]
System = Annotated[str | None, typer.Option("--system", "-s", help="Instructions that go before the text.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="The most tokens that an answer may have.")]
Temperature = Annotated[float | None, typer.Option(min=0, help="How freely the model chooses its words.")]
NoStream = Annotated[bool, typer.Option("--no-stream", help="Print the answer only when it is whole.")]
Batch = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="JSON lines, a conversation each. The same command goes on after any interruption.",
        rich_help_panel=_BATCH,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the answers there, as JSON lines.", rich_help_panel=_BATCH),
]
Name = Annotated[
    str | None,
    typer.Option(help="By default the file's name. Another name sends the same file anew.", rich_help_panel=_BATCH),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=256,
        help=f"Conversations at a time, by default {DEFAULT_CONCURRENCY}.",
        rich_help_panel=_BATCH,
    ),
]
Patience = Annotated[
    float | None,
    typer.Option(
        min=0,
        help=f"Seconds to wait for a service that is away, by default {DEFAULT_PATIENCE:g}.",
        rich_help_panel=_BATCH,
    ),
]


def send(
    text: Words = None,
    *,
    model: Model = "",
    conversation: Conversation = None,
    continue_last: Continue = False,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    no_stream: NoStream = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    batch: Batch = None,
    output: Output = None,
    name: Name = None,
    concurrency: Concurrency = None,
    patience: Patience = None,
) -> None:
    """Send TEXT to a model and print the answer as it comes.

    The conversation's id, the tokens and the cost follow on standard error.
    """
    asking = Asking(model=model, system=system, max_output_tokens=max_tokens, temperature=temperature)
    if batch is None:
        batch_only = {
            "--output": output,
            "--name": name,
            "--concurrency": concurrency,
            "--patience": patience,
        }
        _refuse(batch_only, "with --batch")
        if conversation and continue_last:
            raise typer.BadParameter("--conversation and --continue exclude each other")
        prompt = read_prompt(text or [])
        with connect(url) as client:
            asking, conversation_id = _place(client, asking, conversation, continue_last=continue_last)
            _converse(client, conversation_id, asking.body(prompt), stream=not no_stream, as_json=as_json)
        return
    _refuse({"TEXT": text, "--conversation": conversation, "--continue": continue_last}, "without --batch")
    from send2llm.interfaces.cli.batch import run_batch

    run_batch(
        batch,
        url=url,
        asking=asking,
        name=name or batch.name,
        output=output,
        concurrency=concurrency or DEFAULT_CONCURRENCY,
        patience=DEFAULT_PATIENCE if patience is None else patience,
        as_json=as_json,
    )


def _refuse(options: Mapping[str, object], where: str) -> None:
    for option, value in options.items():
        if value is not None and value is not False and value != []:
            raise typer.BadParameter(f"{option} works only {where}")


def _place(
    client: "ServiceClient", asking: Asking, conversation: str | None, *, continue_last: bool
) -> tuple[Asking, str]:
    """The model and the conversation to send to, which become those that ``--continue`` means next time."""
    last = recall(client.url) if continue_last else None
    model = asking.model or (last.model if last else client.default_model())
    if conversation is None:
        conversation = last.conversation_id if last else str(client.post("/api/conversations", {})["id"])
    remember(LastConversation(client.url, conversation, model))
    return replace(asking, model=model), conversation


def _converse(
    client: "ServiceClient", conversation_id: str, body: Mapping[str, Any], *, stream: bool, as_json: bool
) -> None:
    path = f"/api/conversations/{url_part(conversation_id)}/messages"
    if as_json:
        write_json(client.post(path, body))
        return
    if stream:
        answer = _print_stream(client, path, body)
    else:
        answer = client.post(path, body)
        write(message_text(answer["message"]) + "\n")
    _say_about(answer)


def _print_stream(client: "ServiceClient", path: str, body: Mapping[str, Any]) -> "JsonDocument":
    answer: JsonDocument = {}
    printed = ""
    try:
        for event, document in client.stream(path, {**body, "stream": True}):
            if event == "delta" and document.get("text"):
                printed = document["text"]
                write(printed)
            elif event == "done":
                answer = document
        if not printed:  # no text at all: a refusal, or tool calls
            printed = message_text(answer["message"])
            write(printed)
    finally:
        if printed and not printed.endswith("\n"):
            write("\n")
    return answer


def _say_about(answer: "JsonDocument") -> None:
    usage = answer.get("usage") or {}
    tokens = f"{count(usage.get('input_tokens'))} in, {count(usage.get('output_tokens'))} out"
    cost = answer.get("cost_usd")
    said = (
        f"conversation {answer['conversation_id']}",
        str(answer.get("model") or ""),
        f"tokens: {tokens}",
        "no known price" if cost is None else usd(cost),
    )
    note(" · ".join(filter(None, said)))
    if answer.get("finish_reason") == "length":
        warn("The answer was cut at its limit of tokens; --max-tokens raises it.")
