"""``send2llm audit``: whether the books agree, and whether the log is what was sealed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from send2llm.domain.errors import InvalidRequest
from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.errors import CommandFailed
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import console, count, local_time, note, show_table, usd, warn, write_json
from send2llm.interfaces.cli.report_options import OPTIONS, At, as_of, tell_moment
from send2llm.interfaces.cli.service import DEFAULT_URL
from send2llm.interfaces.cli.trail import trail
from send2llm.interfaces.cli.verification import show_verification

if TYPE_CHECKING:
    from send2llm.interfaces.cli.client import ServiceClient

NUMBERS = ("holds", "settled", "lent", "spent", "held", "known later")

MOST_KEPT = 1000
"""Seals that the service takes at once. The last ones tell of all before them, to which they are linked."""

app = typer.Typer(help="Check that the books agree, and that the log is what was sealed.", no_args_is_help=True)


app.command("trail")(trail)


@app.command("money")
def money(*, at: At = None, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Compare what conversations say was spent with what budgets say was settled, from the events alone.

    Exits with 1, and lists every difference, when they do not agree.
    """
    when = as_of(at)
    with connect(url, OPTIONS) as client:
        audit = _followed(client, "/api/audit/money", "Reading events", at=when)
    if as_json:
        write_json(audit)
    else:
        _show(audit)
        tell_moment(audit)
    if audit["differences"]:
        raise typer.Exit(1)


@app.command("verify")
def verify(
    *,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="A public key that may have sealed; several are possible.")
    ] = None,
    kept: Annotated[
        Path | None, typer.Option("--kept", help="Seals that were kept elsewhere, as `audit seals --json` prints them.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="DIR", help="Verify the files of `send2llm export`, without any service."),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Verify that no event was changed, inserted, removed, or cut off at the end.

    Exits with 1, and names the first position at fault, when one was, and when nothing is sealed. Without --key any
    signature that is right is taken, which shows damage but no forgery.
    """
    body = {"public_keys": _public_keys(key or []), "kept": _kept(kept)}
    if export is not None:
        from send2llm.interfaces.cli.exported_log import verify_export

        found = verify_export(export, **body)
    else:
        with connect(url) as client:
            found = _followed(client, "/api/audit/log", "Verifying", body)
    if as_json:
        write_json(found)
    else:
        show_verification(found)
    if not found["intact"]:
        raise typer.Exit(1)


@app.command("seals")
def seals(
    *,
    last: Annotated[int | None, typer.Option("--last", min=1, help="Only the last so many.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List the seals of the log; with --json as they are to be kept elsewhere."""
    with connect(url) as client:
        found = list(_seals(client, last))
    if as_json:
        write_json({"data": found})
        return
    rows = [
        (
            count(seal["number"]),
            f"{count(seal['first_position'])} - {count(seal['last_position'])}",
            count(seal["events"]),
            local_time(seal["sealed_at"]),
            seal["public_key"],
        )
        for seal in found
    ]
    show_table(("seal", "positions", "events", "sealed at", "public key"), rows, flexible="public key", right=("seal",))


def _seals(client: "ServiceClient", last: int | None) -> Iterator[dict[str, Any]]:
    after, more = 0, True
    while more:
        page = client.get("/api/audit/seals", after=after, last=last, limit=1000)
        yield from page["data"]
        more = page["more"]
        after = page["data"][-1]["number"] if more else after


def _public_keys(keys: list[str]) -> list[str]:
    from send2llm.infrastructure.key_files import key_bytes

    return [key_bytes(key, "--key").hex() for key in keys]


def _kept(path: Path | None) -> list[Any]:
    from send2llm.infrastructure.log_seals.documents import read_seals, write_seal

    if path is None:
        return []
    try:
        return [write_seal(seal) for seal in read_seals(json.loads(path.read_bytes()))][-MOST_KEPT:]
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{path} cannot be read as JSON ({type(error).__name__}); name another file.") from None
    except InvalidRequest as error:
        raise CommandFailed(f"{path}: {error}") from None


def _followed(
    client: "ServiceClient", path: str, doing: str, body: dict[str, Any] | None = None, **parameters: object
) -> dict[str, Any]:
    """The result, with a progress bar on the way."""
    from rich.progress import Progress

    with Progress(console=console(sys.stderr), transient=True) as progress:
        task = progress.add_task(doing)
        for name, told in client.stream(path, body, **parameters):
            if name == "done":
                return told
            progress.update(task, completed=told["position"], total=told["head"])
    raise AssertionError("a stream ends with done, or with an error")


def _show(audit: dict[str, Any]) -> None:
    rows = [
        (
            str(line["budget_id"]),
            str(line["period_key"]),
            count(line["holds"]),
            usd(line["settled_usd"]),
            usd(line["lent_usd"]),
            usd(line["spent_usd"]),
            usd(line["held_usd"]),
            usd(line["later_usd"]),
        )
        for line in audit["periods"]
    ]
    if rows:
        show_table(("budget", "period", *NUMBERS), rows, flexible="period", right=NUMBERS)
    closed = audit["closed"]
    if closed["periods"]:
        note(f"Closed periods: {count(closed['periods'])}, with {usd(closed['settled_usd'])} settled.")
    for one in audit["overruns"]:
        warn(f"{_place(one)}: a provider billed {usd(one['amount_usd'])} more than was held")
    for one in audit["known_later"]:
        note(f"{_place(one)}: written off with {usd(one['assumed_usd'])}, cost {usd(one['cost_usd'])}, known later")
    note(
        f"{count(audit['calls'])} calls in {count(audit['position'])} events cost {usd(audit['cost_usd'])}, "
        f"{usd(audit['outside_usd'])} of it under no budget."
    )
    for one in audit["differences"]:
        warn(f"{_place(one)}: {one['what']}{_amounts(one)}")
    differences = audit["difference_count"]
    note(f"Differences: {count(differences)}." if differences else "Everything agrees.")


def _place(one: dict[str, Any]) -> str:
    return f"{one['stream']} at {one['position']}"


def _amounts(one: dict[str, Any]) -> str:
    if one["found_usd"] is None:
        return ""
    return f": {usd(one['found_usd'])}, which should be {usd(one['expected_usd'])}"
