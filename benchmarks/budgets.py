"""What budgets cost the path of a call: the same service with none, and with three that cover each call.

Both are measured in turns on one running service, so that what else happens on the machine meets both alike. The
budgets are one for the whole service, one for the provider and one for the model: each call takes three holds.

Run: ``python benchmarks/budgets.py`` (about a minute)
"""

from statistics import median

import httpx2

import figures
from gateway import Measurement, Scenario
from service import KEY, PROVIDER, RunningService, running_service

SCOPES = ({}, {"provider": PROVIDER}, {"provider": PROVIDER, "model": "instant"})
LIMIT = "1000000"


def define(service: RunningService, number: int) -> list[str]:
    """Set so many of the budgets; their ids."""
    with _client(service) as client:
        return [
            client.post("/api/budgets", json={"scope": scope, "limit_usd": LIMIT, "period": "month"}).json()["id"]
            for scope in SCOPES[:number]
        ]


def retire(service: RunningService, budgets: list[str]) -> None:
    """Let them limit nothing any more."""
    with _client(service) as client:
        for budget in budgets:
            client.post(f"/api/budgets/{budget}/retire").raise_for_status()


def _client(service: RunningService) -> httpx2.Client:
    return httpx2.Client(base_url=service.url, headers={"authorization": f"Bearer {KEY}"}, trust_env=False, timeout=30)


def main() -> None:
    options = figures.parser(__doc__)
    options.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--budgets", type=int, default=3, choices=(1, 2, 3), help="that cover each call")
    options.add_argument("--scenario", default="json-c32")
    given = options.parse_args()
    rows: dict[str, list[figures.Row]] = {"off": [], "on": []}
    with running_service() as service:
        measurement = Measurement(service, given.seconds, tries=1)
        scenario = Scenario(given.scenario)
        for _ in range(given.turns):
            rows["off"].append(measurement.row(scenario))
            budgets = define(service, given.budgets)
            rows["on"].append(measurement.row(scenario))
            retire(service, budgets)
        holds = service.count("allowance.hold_taken")
        grants = service.count("budget.allowance_granted")
    told = [{"budgets": name, **row} for name, measured in rows.items() for row in measured]
    figures.tell(f"Calls without budgets, and with {given.budgets} of them", told, given.figures)
    pairs = list(zip(rows["off"], rows["on"], strict=True))
    calls = median(float(str(on["calls_per_s"])) / float(str(off["calls_per_s"])) for off, on in pairs)
    cpu = median(_cpu(on) / _cpu(off) for off, on in pairs)
    print(
        f"with budgets ({given.budgets}): {calls:.1%} of the calls a second, {cpu:.1%} of the service's processor time"
    )
    print(f"holds stored: {holds:,}, slices lent: {grants:,}")


def _cpu(row: figures.Row) -> float:
    """The service's processor time for a call, in that of the load: so that a machine that slows down slows both."""
    service = sum(float(str(row[f"{part}_cpu_s_per_1k"])) for part in ("worker", "projector"))
    return service / float(str(row["load_cpu_s_per_1k"]))


if __name__ == "__main__":
    main()
