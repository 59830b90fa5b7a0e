"""``send2llm send --batch``: what the user sees of a batch, and what is left of it in a file."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from send2llm.interfaces.cli.asking import Asking
from send2llm.interfaces.cli.batch_file import read_batch
from send2llm.interfaces.cli.batch_run import BatchRun, Outcome
from send2llm.interfaces.cli.batch_summary import Summary
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.output import console, message_text, printable, warn, write_json


def run_batch(
    path: Path,
    *,
    url: str,
    asking: Asking,
    name: str,
    output: Path | None,
    concurrency: int,
    patience: float,
    as_json: bool,
) -> None:
    """Send the file's conversations, print a summary, and exit with 1 if any conversation is incomplete."""
    conversations = read_batch(path, name)
    if output is not None:
        _must_be_writable(output)
    began = time.monotonic()
    with BatchProgress(sum(len(conversation.turns) for conversation in conversations)) as progress:
        run = BatchRun(url, asking, patience=patience, audience=progress)
        try:
            outcomes, stopped = asyncio.run(run.hold(conversations, concurrency))
        except KeyboardInterrupt:
            warn("Interrupted. The same command goes on where this one was.")
            raise
    if output is not None:
        _write_answers(output, outcomes)
    summary = Summary.of(name, outcomes, time.monotonic() - began)
    write_json(summary.document()) if as_json else summary.show()
    if stopped is not None:
        raise CommandFailed(f"The batch was stopped. {stopped} The same command goes on where this one was.")
    if summary.failed:
        raise typer.Exit(1)


class BatchProgress(AbstractContextManager["BatchProgress"]):
    """A progress bar on a terminal; without one, only what matters in a log."""

    def __init__(self, turns: int) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
        )
        self._console = console(sys.stderr)
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._progress.add_task("answers", total=turns)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def answered(self) -> None:
        """Advance."""
        self._progress.advance(self._task)

    def waiting(self, reason: str) -> None:
        """Say why nothing moves."""
        self._console.print(f"Waiting: {printable(reason)}", style="yellow")

    def going_on(self) -> None:
        """Say that it moves again."""
        self._console.print("Going on.", style="dim")


class _Rate(ProgressColumn):
    """Answers in a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


def _must_be_writable(output: Path) -> None:
    """Better now than after an hour of answers."""
    if output.exists() and not output.is_file():
        raise CommandFailed(f"{output} is no ordinary file; give --output one that may be replaced.")
    if not os.access(output.parent, os.W_OK):
        raise CommandFailed(f"{output.parent} is no folder that can be written to; give --output another place.")


def _write_answers(output: Path, outcomes: Iterable[Outcome]) -> None:
    """Replace the file as a whole, in the order of the batch: it never holds half a run."""
    draft = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(_line(outcome), ensure_ascii=False) + "\n" for outcome in outcomes)
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CommandFailed(
            f"{output} cannot be written: {error.strerror}. The answers are safe with the service: "
            "the same command with another --output fetches them."
        ) from error


def _line(outcome: Outcome) -> dict[str, Any]:
    conversation = outcome.conversation
    kept = ("completion_id", "finish_reason", "usage", "cost_usd", "provider", "model")
    return {
        "line": conversation.line,
        "id": conversation.item_id,
        "conversation_id": str(conversation.conversation_id),
        "labels": dict(conversation.labels),
        "answers": [
            {"content": message_text(answer["message"]), **{name: answer.get(name) for name in kept}}
            for answer in outcome.answers
        ],
        "error": outcome.error,
    }
