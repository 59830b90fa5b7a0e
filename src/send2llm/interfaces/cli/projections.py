"""``send2llm projections``: how far the read models have come, and what can be done with their builds."""

from pathlib import Path
from typing import Annotated, Any

import typer

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import count, note, show_table, warn, write, write_json
from send2llm.interfaces.cli.projection_watch import label, watched
from send2llm.interfaces.cli.service import DEFAULT_URL

_DETAILS = (
    *("role", "state", "position", "head", "lag_events", "lag_seconds", "rate", "remaining_seconds", "skipped"),
    *("failed_position", "error", "waits_for", "created_at", "updated_at"),
)

app = typer.Typer(help="The read models: how far they are, rebuilt, verified, swapped.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="The projection's name, such as history.")]
BuildOf = Annotated[str | None, typer.Option("--build", help="Version and number of a build, such as 2.1.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Show how it goes on until it has ended.")]


@app.callback()
def projections(context: typer.Context, *, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show every projection: its state, and how far it lags behind the events."""
    if context.invoked_subcommand is None:
        show(as_json=as_json, url=url)


@app.command("list")
def show(*, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show every build of every projection."""
    with connect(url) as client:
        found = client.get("/api/projections")
    if as_json:
        write_json(found)
        return
    rows = [
        (
            str(line["name"]),
            label(line),
            str(line["role"]),
            str(line["state"]),
            count(line["position"]),
            count(line["lag_events"]),
            "-" if line.get("lag_seconds") is None else f"{line['lag_seconds']:.1f} s",
            str(line.get("error") or line.get("waits_for") or ""),
        )
        for line in found["data"]
    ]
    columns = ("name", "build", "role", "state", "position", "events behind", "lag", "error")
    show_table(columns, rows, flexible="error", right=("position", "events behind", "lag"))


@app.command()
def status(name: Name, *, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Everything about the builds of one projection."""
    with connect(url) as client:
        found = [line for line in client.get("/api/projections")["data"] if line["name"] == name]
    if as_json:
        write_json({"data": found})
        return
    if not found:
        raise CommandFailed(f"There is no projection {name!r}; `send2llm projections` shows those that there are.")
    for line in found:
        shown = {"build": label(line), **{field: line[field] for field in _DETAILS if line.get(field) is not None}}
        show_table(("what", "is"), [(field, str(value)) for field, value in shown.items()], flexible="is")


@app.command()
def rebuild(name: Name, *, wait: Wait = True, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Build it anew beside the live build, which it replaces when it has caught up; exits with 1 if it cannot."""
    ended = _begin(name, "rebuild", wait=wait, as_json=as_json, url=url)
    if wait and ended["role"] not in ("live", "retired"):
        raise typer.Exit(1)


@app.command()
def verify(name: Name, *, wait: Wait = True, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Fold from zero and compare with what is read; exits with 1 unless it is all the same."""
    ended = _begin(name, "verify", wait=wait, as_json=as_json, url=url)
    if wait and ended["role"] != "verified":
        raise typer.Exit(1)


@app.command()
def swap(name: Name, *, build: BuildOf = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Read what was built, if it has caught up."""
    _command(name, "swap", as_json=as_json, url=url, build=build)


@app.command()
def rollback(name: Name, *, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Read what was read before the last swap."""
    _command(name, "rollback", as_json=as_json, url=url)


@app.command()
def drop(
    name: Name,
    build: Annotated[str | None, typer.Argument(help="Such as 1.2.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="The projection itself, if nobody runs it.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Remove a build that is not live, with its tables; or a projection that nobody runs, with all its builds."""
    if everything == (build is not None):
        raise CommandFailed("Name a build, such as 1.2, or say --all.")
    with connect(url) as client:
        client.delete(f"/api/projections/{name}" + ("" if everything else f"/builds/{build}"))
    if as_json:
        write_json({"name": name, "build": build, "dropped": True})
    else:
        note(f"{name} is gone." if everything else f"The build {build} of {name} is gone.")


@app.command()
def pause(name: Name, *, build: BuildOf = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Let a build stand still: the live one, unless another is named."""
    _command(name, "pause", as_json=as_json, url=url, build=build)


@app.command()
def resume(name: Name, *, build: BuildOf = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Let a build go on."""
    _command(name, "resume", as_json=as_json, url=url, build=build)


@app.command()
def retry(name: Name, *, build: BuildOf = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Let a build that failed try again."""
    _command(name, "retry", as_json=as_json, url=url, build=build)


@app.command()
def skip(
    name: Name,
    position: Annotated[int, typer.Argument(help="The position at which the build failed.")],
    *,
    build: BuildOf = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Leave out the event at which a build failed, in all builds of its version; that is recorded."""
    _command(name, "skip", as_json=as_json, url=url, build=build, body={"position": position})


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower case words joined by underscores.")],
    *,
    folder: Annotated[Path, typer.Option(help="Where the files shall be.")] = Path("projections"),
    as_json: AsJson = False,
) -> None:
    """Write a projection to start from, with a test that runs."""
    from send2llm.interfaces.cli.new_projection import write_projection

    files = [str(path) for path in write_projection(name, folder)]
    if as_json:
        write_json({"files": files})
        return
    write("".join(f"{path}\n" for path in files))
    note(f'Add it to send2llm.toml: projections = ["{folder}"]')


def _begin(name: str, verb: str, *, wait: bool, as_json: bool, url: str) -> dict[str, Any]:
    with connect(url) as client:
        begun = client.post(f"/api/projections/{name}/{verb}", {})
        ended = watched(client, begun) if wait else begun
    if as_json:
        write_json(ended)
    else:
        _tell(ended)
    return ended


def _command(
    name: str, verb: str, *, as_json: bool, url: str, build: str | None = None, body: dict[str, Any] | None = None
) -> None:
    query = f"?build={build}" if build else ""
    with connect(url) as client:
        changed = client.post(f"/api/projections/{name}/{verb}{query}", body or {})
    if as_json:
        write_json(changed)
    else:
        _tell(changed)


def _tell(build: dict[str, Any]) -> None:
    say = warn if build.get("error") else note
    told = f"{build['name']} {label(build)}: {build['role']}, {build['state']}, at {count(build['position'])}"
    say(f"{told}. {build['error']}" if build.get("error") else f"{told}.")
    if build["role"] == "live" and build["state"] == "waiting" and build["lag_events"]:
        warn(f"Nothing keeps it up to date: no running service has version {build['version']} in its configuration.")
