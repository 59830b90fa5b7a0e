"""The command line, put together.

A command's module is imported when the command is used: ``COMMANDS`` says where it lives. A location names
a function, which becomes the command, or a ``typer.Typer``, which becomes a group of commands. Modules keep
heavy imports (the HTTP client, the database, the web framework) inside their functions, so that help comes at
once.
"""

from collections import UserDict
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

TALK, LOOK, RUN = "Talk to models", "Look at what happened", "Run the service"
ANALYSE = "Ask what it would have cost"

COMMANDS = MappingProxyType(
    {
        "send": ("send:send", TALK),
        "feedback": ("feedback:feedback", TALK),
        "close": ("close:close", TALK),
        "erase": ("erase:erase", TALK),
        "templates": ("templates:app", TALK),
        "history": ("history:history", LOOK),
        "events": ("events:events", LOOK),
        "budget": ("budget:app", LOOK),
        "costs": ("costs:costs", LOOK),
        "usage": ("usage:usage", LOOK),
        "audit": ("audit:app", LOOK),
        "projections": ("projections:app", LOOK),
        "providers": ("providers:app", LOOK),
        "export": ("export:export", ANALYSE),
        "replay": ("replay:app", ANALYSE),
        "serve": ("serve:serve", RUN),
        "doctor": ("doctor:doctor", RUN),
        "migrate": ("migrate:migrate", RUN),
        "encryption": ("encryption:app", RUN),
        "local": ("local:app", RUN),
    }
)
"""For each command: where it lives in this package, and under which heading help lists it."""


@dataclass
class Invocation:
    """What holds for the whole run of a command."""

    debug: bool = False


class CommandsOnDemand(UserDict[str, Any]):
    """The commands by name, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> TyperCommand | TyperGroup:
        if name not in self.data:
            location, panel = COMMANDS[name]
            self.data[name] = _load(name, location, panel)
        command: TyperCommand | TyperGroup = self.data[name]
        return command

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Any:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class CommandLine(TyperGroup):
    """The root command."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = CommandsOnDemand()


def _load(name: str, location: str, panel: str) -> TyperCommand | TyperGroup:
    module, _, attribute = location.partition(":")
    found = getattr(import_module(f"send2llm.interfaces.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        command: Any = get_group(found)
    else:
        single = typer.Typer(add_completion=False)
        # A score such as -1 is no option.
        single.command(name, context_settings={"ignore_unknown_options": name == "feedback"})(found)
        command = get_command(single)
    command.name = name
    command.rich_help_panel = panel
    loaded: TyperCommand | TyperGroup = command
    return loaded


app = typer.Typer(cls=CommandLine, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def _show_version(wanted: bool) -> None:
    if wanted:
        from send2llm import __version__

        typer.echo(f"send2llm {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sends messages to language models and remembers everything as events."""
    if isinstance(context.obj, Invocation):
        context.obj.debug = debug
