"""The command line ``send2llm``."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from typer.main import get_command

from send2llm.domain.errors import Send2LLMError
from send2llm.interfaces.cli.app import Invocation, app

FAILED = 1
INTERRUPTED = 130
"""What shells say of a command that Ctrl-C ended: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command, and exit: 0 done, 1 failed, 2 called wrongly, 130 ended by Ctrl-C.

    Errors become one line that says what to do next; ``--debug`` shows where they came from.
    """
    for stream in (sys.stdout, sys.stderr):
        # An answer may have letters that the terminal's encoding lacks.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    invocation = Invocation()
    try:
        try:
            get_command(app).main(arguments, prog_name="send2llm", obj=invocation)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _leave_pipe()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # the last resort: a person gets a sentence, whatever happens
        if invocation.debug:
            raise
        _complain(_sentence(error))
    sys.exit(FAILED)


def _sentence(error: Exception) -> str:
    """What to tell about an error; of several that came together, about the first that is known."""
    if isinstance(error, ExceptionGroup) and (known := error.subgroup(Send2LLMError)):
        return _sentence(known.exceptions[0])
    if isinstance(error, Send2LLMError):
        return str(error)
    # The text of an unknown error may quote what somebody wrote; its type cannot.
    return f"Something unexpected happened ({type(error).__name__}). Run `send2llm --debug ...` again to see where."


def _complain(message: str) -> None:
    from send2llm.interfaces.cli.output import console, printable

    errors = console(sys.stderr)
    errors.print("Error:", style="bold red", end=" ")
    errors.print(printable(message))


def _leave_pipe() -> None:
    """Nobody reads any more: what is still buffered goes nowhere, and Python's own flush at exit stays quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
