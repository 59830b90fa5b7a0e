"""Waits for a build of a projection, and shows how far it is."""

import sys
import time
from typing import Any

from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.output import console, count, note

LOOK_EVERY = 0.5
"""Seconds between two looks at a build that is waited for."""

PATIENCE = 20.0
"""Seconds for which nobody may work on a build that is waited for; a projector that was killed is back sooner."""


def watched(client: Any, begun: dict[str, Any]) -> dict[str, Any]:
    """The build when it has ended; a bar shows how far it is, how fast, and how long it will take."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[pace]}"))
    looks_unworked, told = 0, None
    with Progress(*columns, console=console(sys.stderr), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"{begun['name']} {label(begun)}", total=max(begun["head"], 1), pace="")
        while True:
            build = _same(client.get("/api/projections"), begun)
            if build["role"] not in ("building", "verifying") or build["state"] == "failed":
                return build
            looks_unworked = looks_unworked + 1 if build["state"] == "waiting" else 0
            if looks_unworked > PATIENCE / LOOK_EVERY:
                raise CommandFailed(_nobody_works_on(build))
            if build.get("waits_for") not in (None, told):
                note(told := build["waits_for"])
            remaining = build["remaining_seconds"]
            pace = f"{count(round(build['rate']))} events/s" + (
                "" if remaining is None else f", {remaining:.0f} s left"
            )
            progress.update(task, completed=build["position"], total=max(build["head"], 1), pace=pace)
            time.sleep(LOOK_EVERY)


def _nobody_works_on(build: dict[str, Any]) -> str:
    name = build["name"]
    return (
        f"No process works on {name} {label(build)}: it needs a service with projector = true that has version "
        f"{build['version']} of {name} in its configuration. It goes on when there is one; or else remove it with "
        f"`send2llm projections drop {name} {label(build)}`."
    )


def _same(found: dict[str, Any], build: dict[str, Any]) -> dict[str, Any]:
    for line in found["data"]:
        if (line["name"], label(line)) == (build["name"], label(build)):
            return dict(line)
    return {**build, "role": "dropped", "state": "waiting", "error": "somebody dropped it"}


def label(line: dict[str, Any]) -> str:
    """What people call a build: `2.1` is the first one of version 2."""
    return f"{line['version']}.{line['build']}"
