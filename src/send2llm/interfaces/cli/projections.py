"""``send2llm projections``: how far the read models have come."""

from send2llm.interfaces.cli.connecting import connect
from send2llm.interfaces.cli.options import AsJson, Url
from send2llm.interfaces.cli.output import count, show_table, write_json
from send2llm.interfaces.cli.service import DEFAULT_URL


def projections(*, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show every projection: its state, and how far it lags behind the events."""
    with connect(url) as client:
        found = client.get("/api/projections")
    if as_json:
        write_json(found)
        return
    rows = [
        (
            str(line["name"]),
            str(line["version"]),
            str(line["state"]),
            count(line["position"]),
            count(line["lag_events"]),
            "-" if line.get("lag_seconds") is None else f"{line['lag_seconds']:.1f} s",
            str(line.get("error") or ""),
        )
        for line in found["data"]
    ]
    columns = ("name", "version", "state", "position", "events behind", "lag", "error")
    show_table(columns, rows, flexible="error", right=("version", "position", "events behind", "lag"))
