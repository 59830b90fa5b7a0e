"""What the user says: words of the command line, standard input, or both."""

import sys
from collections.abc import Sequence

import typer

from send2llm.interfaces.cli.errors import CommandFailed

STDIN = "-"


def read_prompt(words: Sequence[str]) -> str:
    """Join the words; ``-`` stands for standard input, and so does no word at all when that is piped.

    With words, standard input is left alone unless asked for: ``send`` in a shell loop must not eat the input
    of the loop.
    """
    if not words:
        if sys.stdin is None or sys.stdin.isatty():
            raise typer.BadParameter('there is nothing to send. Try: send2llm send "Why is the sky blue?"')
        words = [STDIN]
    if words.count(STDIN) > 1:
        raise typer.BadParameter("standard input (-) can stand in one place only")
    if STDIN in words:
        at = words.index(STDIN)
        pieces = [" ".join(words[:at]), _standard_input(), " ".join(words[at + 1 :])]
    else:
        pieces = [" ".join(words)]
    prompt = "\n\n".join(piece for piece in pieces if piece.strip())
    if not prompt:
        raise CommandFailed("There is nothing to send: the text is empty.")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise CommandFailed("The text is not valid UTF-8. Convert it first, for example with iconv.") from None
    return prompt


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").rstrip("\n")
    except UnicodeDecodeError:
        raise CommandFailed("Standard input is not UTF-8 text. Convert it first, for example with iconv.") from None
