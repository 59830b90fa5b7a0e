"""``send2llm templates``: prompts with variables, under names, in versions."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import note, show_table, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL
from send2llm.interfaces.cli.url_parts import url_part

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import JsonDocument

app = typer.Typer(help="Keep prompts with variables, in versions.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.", show_default=False)]
Source = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="Its text, - for standard input; or JSON with messages and variables, as the API has them (*.json).",
        show_default=False,
    ),
]
Role = Annotated[str, typer.Option(help="Whose message the text is: system, developer, user or assistant.")]
Variable = Annotated[
    list[str] | None, typer.Option(metavar="NAME=TYPE", help="A variable that is no text: number or boolean; several.")
]
Version = Annotated[int | None, typer.Option(help="One of its versions; by default the last.")]
Retired = Annotated[bool, typer.Option("--retired", help="Those that no request can use any more as well.")]
Reason = Annotated[str, typer.Option(help="Why.")]


@app.command("set")
def set_(
    name: Name,
    source: Source,
    *,
    role: Role = "system",
    variable: Variable = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Set what a prompt says from now on; {{name}} is the place of a variable."""
    text = _read(source)
    body: dict[str, Any] = {"messages": [{"role": role, "content": text}], "variables": _types(variable or [])}
    if source.endswith(".json"):
        body = _parsed(source, text)
    with connect(url) as client:
        found = client.put(f"/api/templates/{url_part(name)}", body)
    if as_json:
        write_json(found)
    else:
        variables = ", ".join(found["variables"]) or "none"
        note(f"{found['name']} is at version {found['version']}; variables: {variables}.")


@app.command("list")
def list_(*, retired: Retired = False, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """List the templates."""
    with connect(url) as client:
        found = client.get("/api/templates", retired=retired)
    if as_json:
        write_json(found)
    elif not found["data"]:
        note("There is no template yet. Set one with: send2llm templates set NAME FILE")
    else:
        rows = [
            (one["name"], str(one["last_version"]), "retired" if one["retired"] else "in use") for one in found["data"]
        ]
        show_table(("name", "version", "state"), rows, flexible="name", right=("version",))


@app.command("show")
def show(name: Name, *, version: Version = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show a version of a template."""
    path = f"/api/templates/{url_part(name)}"
    with connect(url) as client:
        found = client.get(path if version is None else f"{path}/versions/{version}")
    if as_json:
        write_json(found)
    else:
        _show(found)


@app.command("retire")
def retire(name: Name, *, reason: Reason = "", as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Let no request use a template any more; its versions can still be read."""
    with connect(url) as client:
        found = client.post(f"/api/templates/{url_part(name)}/retire", {"reason": reason})
    if as_json:
        write_json(found)
    else:
        note(f"No request can use {found['name']} any more.")


def _read(source: str) -> str:
    if source == "-":
        return sys.stdin.read()
    try:
        return Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandFailed(f"{source} cannot be read ({reason}). Name a text file, or - for standard input.") from None


def _parsed(source: str, text: str) -> dict[str, Any]:
    import json

    try:
        body = json.loads(text)
    except ValueError as error:
        raise CommandFailed(f"{source} is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise CommandFailed(f"{source} holds no object; it needs the fields messages and, if any, variables.")
    return body


def _types(variables: list[str]) -> dict[str, str]:
    types: dict[str, str] = {}
    for given in variables:
        name, equals, kind = given.partition("=")
        if not equals:
            raise CommandFailed(f"--variable {given} names no type; write --variable {given}=number.")
        types[name] = kind
    return types


def _show(template: "JsonDocument") -> None:
    for message in template["messages"]:
        typer.secho(message["role"], bold=True)
        typer.echo(f"{message['content'].rstrip()}\n")
    variables = ", ".join(f"{name} ({kind})" for name, kind in template["variables"].items()) or "none"
    version = f"{template['name']} version {template['version']} of {template['last_version']}"
    facts = [version, f"variables: {variables}"]
    note(" · ".join([*facts, "retired"] if template["retired"] else facts))
