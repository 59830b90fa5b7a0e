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


def define(service: RunningService) -> list[str]:
    """Set the three budgets; their ids."""
    with _client(service) as client:
        return [
            client.post("/api/budgets", json={"scope": scope, "limit_usd": LIMIT, "period": "month"}).json()["id"]
            for scope in SCOPES
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
    options.add_argument("--scenario", default="json-c32")
    given = options.parse_args()
    rows: dict[str, list[figures.Row]] = {"none": [], "three": []}
    with running_service() as service:
        measurement = Measurement(service, given.seconds, tries=1)
        scenario = Scenario(given.scenario)
        for _ in range(given.turns):
            rows["none"].append(measurement.row(scenario))
            budgets = define(service)
            rows["three"].append(measurement.row(scenario))
            retire(service, budgets)
        holds = service.count("allowance.hold_taken")
    told = [{"budgets": name, **row} for name, measured in rows.items() for row in measured]
    figures.tell("Calls without budgets, and with three", told, given.figures)
    calls = {name: median(float(str(row["calls_per_s"])) for row in measured) for name, measured in rows.items()}
    print(f"with three budgets {calls['three'] / calls['none']:.1%} of the calls a second; holds stored: {holds:,}")


if __name__ == "__main__":
    main()
