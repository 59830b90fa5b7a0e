"""The overspend trial: whether anything can make a budget cost more than its cap.

Several service processes on one PostgreSQL, a provider with random latency and every fault there is, a budget for each
of many models, and far more calls at once than the budgets pay for: half of them stream, a fifth of their callers
leave in the middle. On the way one service is killed with ``kill -9`` and started again, one is paused for longer than
its allowances last and resumed, and PostgreSQL is restarted. Afterwards the provider's own count is compared with every
cap, every answer that a caller received with the events, and the books with each other.

Run: ``python benchmarks/overspend/trial.py`` (some two minutes; ``--runs 5``; ``--help`` for the sizes)
"""

import argparse
import asyncio
import json
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1]))  # the parts that benchmarks share

import httpx2
from clients import Result, plan, send_all
from stage import Stage, stage
from verdict import Verdict, judge

KILLED, PAUSED = 3, 2
RECOVERED_WITHIN = 90.0
"""Seconds after the last call in which all money has to be home."""


async def run(arguments: argparse.Namespace, built: Stage, models: list[str], seed: int) -> tuple[list[Result], float]:
    """Send the calls while things happen to the services."""
    calls = plan(arguments.calls, models, arguments.services, arguments.ramp, arguments.max_tokens, random.Random(seed))
    began = time.monotonic()
    happening = asyncio.create_task(_happen(built, arguments)) if arguments.services > KILLED else None
    results = await send_all(calls, built.urls)
    seconds = time.monotonic() - began
    if happening is not None:
        await happening
    return results, seconds


async def _happen(built: Stage, arguments: argparse.Namespace) -> None:
    """The accidents, at their times: shares of the time in which calls are begun."""
    ramp, pause = arguments.ramp, 2 * arguments.allowance + 2
    await asyncio.sleep(0.3 * ramp)
    await asyncio.to_thread(built.kill, KILLED)
    await asyncio.sleep(0.1 * ramp)
    built.pause(PAUSED)
    resumed = time.monotonic() + pause
    await asyncio.sleep(0.2 * ramp)
    await asyncio.to_thread(built.restart_postgres)
    await asyncio.sleep(max(0.0, resumed - time.monotonic()))
    built.resume(PAUSED)
    await asyncio.to_thread(built.revive, KILLED)


def define_budgets(built: Stage, models: Sequence[str], cap: Decimal) -> dict[str, str]:
    """A budget for each model; its id by the model."""
    caps = {}
    with httpx2.Client(base_url=built.urls[0], trust_env=False, timeout=30) as client:
        for model in models:
            scope = {"provider": "trial", "model": model}
            body = {"scope": scope, "limit_usd": str(cap), "period": "total"}
            caps[model] = client.post("/api/budgets", json=body).raise_for_status().json()["id"]
    for url in built.urls:  # every process has heard of them when it lists them
        while len(httpx2.get(f"{url}/api/budgets", trust_env=False, timeout=60).json()["data"]) < len(models):
            time.sleep(0.1)
    return caps


def all_home(built: Stage) -> float:
    """Seconds until nothing is lent any more, and no call is open."""
    began = time.monotonic()
    while time.monotonic() < began + RECOVERED_WITHIN:
        budgets = built.get("/api/budgets")["data"]
        if all(Decimal(one["running"]["lent_usd"]) == 0 for one in budgets) and not _open_calls(built):
            break
        time.sleep(0.5)
    return time.monotonic() - began


def _open_calls(built: Stage) -> int:
    ended = ("received", "failed", "interrupted")
    events = built.events("conversation.completion_requested", *(f"conversation.completion_{how}" for how in ended))
    begun = {one["data"]["completion_id"] for one in events if one["topic"].endswith("requested")}
    return len(begun - {one["data"]["completion_id"] for one in events if not one["topic"].endswith("requested")})


def one_trial(arguments: argparse.Namespace, seed: int) -> Verdict:
    """Everything once, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="send2llm-trial-"))
    folder.chmod(0o755)  # for root, the database server runs as another account
    models = [f"gpt-trial-{number}" for number in range(arguments.budgets)]
    cap = Decimal(arguments.cap)
    try:
        with stage(folder, models, arguments.services, arguments.allowance, seed) as built:
            caps = define_budgets(built, models, cap)
            results, seconds = asyncio.run(run(arguments, built, models, seed))
            recovery = all_home(built)
            verdict = judge(built, results, caps, cap, seconds)
            verdict.figures["all home after, s"] = round(recovery, 1)
            wrong = verdict.wrong + (["a service logged a traceback"] if "Traceback" in built.said() else [])
            if wrong and arguments.keep:
                (Path(arguments.keep) / f"services-{seed}.log").write_text(built.said())
            return Verdict(verdict.figures, wrong)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--services", type=int, default=4)
    parser.add_argument("--budgets", type=int, default=100)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--cap", default="0.05", help="US dollars")
    parser.add_argument("--max-tokens", type=int, default=150)
    parser.add_argument("--ramp", type=float, default=20.0, help="seconds in which the calls are begun")
    parser.add_argument("--allowance", type=float, default=4.0, help="seconds for which money is lent")
    parser.add_argument("--out", help="a file that gets the figures as JSON lines")
    parser.add_argument("--keep", help="a folder that gets the logs of services when something is wrong")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    failed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        verdict = one_trial(arguments, seed)
        print(f"\nseed {seed}")
        for name, value in verdict.figures.items():
            print(f"  {name:36} {value}")
        for one in verdict.wrong[:20]:
            print(f"  WRONG: {one}")
        failed += bool(verdict.wrong)
        if arguments.out:
            with Path(arguments.out).open("a") as out:
                out.write(json.dumps({"seed": seed, **verdict.figures, "wrong": verdict.wrong}) + "\n")
    print(f"\n{arguments.runs - failed} of {arguments.runs} trials without a fault")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
