"""What the trial shows: the provider's own count against the caps, and every answer against the events."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Any

from clients import Result
from stage import Stage

PICO = Decimal("1e-12")
CALL = re.compile(r"call (\d+):")
ANSWER = re.compile(r"answer (\d+)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures for people, and what is wrong; nothing must be."""

    figures: dict[str, Any]
    wrong: list[str]


def judge(stage: Stage, results: Sequence[Result], caps: dict[str, str], cap: Decimal, seconds: float) -> Verdict:
    """``caps``: the budget of each model."""
    wrong: list[str] = []
    ledger = stage.ledger()
    billed = {model: Decimal(ledger["billed"].get(model, 0)) * PICO for model in caps}
    over = {model: spent for model, spent in billed.items() if spent > cap}
    wrong += [f"{model} cost {spent} USD, more than {cap} USD" for model, spent in over.items()]
    wrong += _lost_answers(stage, results)
    wrong += _calls_without_intent(stage, set(ledger["seen"]))
    budgets = {one["id"]: one["running"] for one in stage.get("/api/budgets")["data"]}
    for model, budget_id in caps.items():
        running = budgets[budget_id]
        if Decimal(running["lent_usd"]):
            wrong.append(f"{running['lent_usd']} USD of {model} are still lent")
        if Decimal(running["settled_usd"]) < billed[model]:
            wrong.append(f"{model}: {running['settled_usd']} USD are settled, the provider billed {billed[model]}")
    audit = stage.get("/api/audit/money")
    wrong += [f"audit: {one}" for one in audit["differences"]]
    settled = [Decimal(budgets[budget_id]["settled_usd"]) / cap for budget_id in caps.values()]
    refused = [one for one in results if one.kind == "refused"]
    first: dict[str, Result] = {}
    for one in sorted(refused, key=lambda result: result.at):
        first.setdefault(one.call.model, one)
    kinds = Counter(one.kind for one in results)
    statuses = Counter(one.status for one in results if one.kind == "error")
    appends = len(stage.events(*BUDGET_TOPICS))
    figures = {
        "calls": len(results),
        **{kind: kinds[kind] for kind in ("answered", "refused", "left", "error", "lost")},
        "error statuses": dict(statuses),
        "seconds": round(seconds, 1),
        "calls/s": round(len(results) / seconds, 1),
        "most billed of a cap": _percent(max(billed.values()) / cap),
        "billed of all caps": _percent(sum(billed.values()) / (cap * len(caps))),
        "settled of a cap, least": _percent(min(settled)),
        "settled of a cap, median": _percent(median(settled)),
        "committed at first refusal, least": _percent(min(one.committed for one in first.values())) if first else "-",
        "committed at first refusal, median": (
            _percent(median(one.committed for one in first.values())) if first else "-"
        ),
        "budgets that refused": len(first),
        "answer p50, s": round(median([one.seconds for one in results if one.kind == "answered"] or [0.0]), 2),
        "refusal p50, s": round(median(one.seconds for one in refused), 2) if refused else "-",
        "refusal max, s": round(max(one.seconds for one in refused), 2) if refused else "-",
        "budget events": appends,
        "budget events/s of a budget": round(appends / seconds / len(caps), 2),
        "audit": "agrees" if audit["agrees"] else "differs",
        "assumed, USD": str(sum(Decimal(budgets[budget_id]["assumed_usd"]) for budget_id in caps.values())),
        "overrun, USD": str(sum(Decimal(budgets[budget_id]["overrun_usd"]) for budget_id in caps.values())),
    }
    return Verdict(figures, wrong)


BUDGET_TOPICS = (
    "budget.allowance_granted",
    "budget.allowance_renewed",
    "budget.allowance_settled",
    "budget.allowance_lapsed",
    "budget.overrun_recorded",
    "budget.exhausted",
)


def _lost_answers(stage: Stage, results: Sequence[Result]) -> list[str]:
    """Whole answers that a client received, and that are not in the events."""
    stored = {
        one["data"]["answers"][0]["message"]["parts"][0]["text"]
        for one in stage.events("conversation.completion_received")
    }
    return [
        f"the answer to call {one.call.number} is not in the events"
        for one in results
        if one.kind == "answered" and one.text not in stored
    ]


def _calls_without_intent(stage: Stage, seen: set[int]) -> list[str]:
    """Calls that the provider saw, and of which no event tells."""
    events = stage.events("conversation.message_added", "conversation.completion_requested")
    requested = {one["stream"] for one in events if one["topic"].endswith("requested")}
    intended = set()
    for one in events:
        if one["topic"].endswith("message_added") and one["stream"] in requested:
            found = CALL.search(one["data"]["message"]["parts"][0]["text"])
            intended.add(int(found[1]) if found else -1)
    return [f"the provider saw call {number}, of which no event tells" for number in sorted(seen - intended)]


def _percent(share: Decimal) -> str:
    return f"{share:.1%}"
