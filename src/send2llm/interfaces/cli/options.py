"""Options that several commands share, so that they mean the same everywhere."""

from typing import Annotated

import typer

Url = Annotated[str, typer.Option("--url", envvar="SEND2LLM_URL", help="Address of the service.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ConversationId = Annotated[str, typer.Argument(metavar="ID", help="The conversation's id.", show_default=False)]
