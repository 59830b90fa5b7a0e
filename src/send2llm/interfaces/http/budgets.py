"""``/api/budgets``: what calls may cost, and where each budget stands."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from send2llm.application.budgets.explanation import Figure
from send2llm.application.budgets.queries import BudgetReport
from send2llm.bootstrap.service import Service
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.money import ZERO
from send2llm.interfaces.http import answers, views
from send2llm.interfaces.http.bodies import ChangeBudget, DefineBudget, RetireBudget
from send2llm.interfaces.http.dependencies import TheContext, TheService
from send2llm.interfaces.http.descriptions import ends
from send2llm.interfaces.http.moments import At, moment_of, shown_moment
from send2llm.interfaces.http.strict_route import StrictRoute

router = APIRouter(prefix="/api/budgets", tags=["budgets"], route_class=StrictRoute)

Period = Annotated[
    str | None,
    Query(
        max_length=40,
        description="The key of a period, such as 2026-11; by default the running one. The plus sign in the key of an "
        "hour is written %2B in a URL.",
    ),
]


@router.post(
    "", status_code=201, summary="Set up a budget", response_model=None, responses=ends(answers.Budget, 409, status=201)
)
async def define(service: TheService, context: TheContext, body: DefineBudget) -> Response:
    """A call must fit every budget that covers it. Counts in all processes within a second."""
    plan = await service.budgets.define(
        context,
        scope=body.scope.domain(),
        limit=body.limit_usd,
        recurrence=Recurrence(body.period, body.time_zone),
        carry_over=body.carry_over,
        thresholds=body.thresholds,
    )
    return views.json_response(_report(service, await service.budget_queries.one(plan.id)), status=201)


@router.get("", summary="All budgets, and where they stand", response_model=None, responses=ends(answers.Budgets))
async def list_budgets(service: TheService, retired: bool = False, at: At = None) -> Response:
    """With `retired`, those that limit nothing any more as well. With `at` as they were, as for one of them."""
    moment = await moment_of(service, at)
    if moment is None:
        reports = await service.budget_queries.all(retired=retired)
    else:
        reports = await service.budgets_as_of.all(moment, retired=retired)
    return views.json_response({"data": [_report(service, report) for report in reports], **shown_moment(moment)})


@router.get(
    "/{budget_id}", summary="Where a budget stands", response_model=None, responses=ends(answers.BudgetAsOf, 404)
)
async def show(service: TheService, budget_id: UUID, period: Period = None, at: At = None) -> Response:
    """Of what may be spent, so much is settled, so much lent to processes (calls hold a part of it), the rest left.

    With `at` as it was, folded from the events; then there is no forecast, and `spent_last_hour_usd` is `null`.
    """
    moment = await moment_of(service, at)
    if moment is None:
        report = await service.budget_queries.one(budget_id, period)
    else:
        report = await service.budgets_as_of.one(budget_id, moment, period)
    return views.json_response({**_report(service, report), **shown_moment(moment)})


@router.patch("/{budget_id}", summary="Change a budget", response_model=None, responses=ends(answers.Budget, 404, 409))
async def change(service: TheService, context: TheContext, budget_id: UUID, body: ChangeBudget) -> Response:
    """A limit counts at once; below what is settled and lent it takes nothing back, and stops what comes."""
    plan = await service.budgets.change(
        context, budget_id, limit=body.limit_usd, carry_over=body.carry_over, thresholds=body.thresholds
    )
    return views.json_response(_report(service, await service.budget_queries.one(plan.id)))


@router.post(
    "/{budget_id}/retire",
    summary="Let a budget limit nothing any more",
    response_model=None,
    responses=ends(answers.BudgetPlan, 404, 409),
)
async def retire(
    service: TheService, context: TheContext, budget_id: UUID, body: RetireBudget | None = None
) -> Response:
    """Its books stay; a new budget may take its place."""
    plan = await service.budgets.retire(context, budget_id, body.reason if body else "")
    return views.json_response(_plan(service, plan))


@router.get(
    "/{budget_id}/events", summary="What happened to a budget", response_model=None, responses=ends(answers.Events, 404)
)
async def events(service: TheService, budget_id: UUID, period: Period = None) -> Response:
    """Of its plan; with `period`, what was lent, came back and was paid in that period."""
    recorded = await service.budget_queries.events(budget_id, period)
    return views.json_response({"data": [views.event(one, service.event_data(one)) for one in recorded]})


@router.get(
    "/{budget_id}/explain",
    summary="The events behind a figure",
    response_model=None,
    responses=ends(answers.Explanation, 404),
)
async def explain(
    service: TheService, budget_id: UUID, figure: Figure = "settled", period: Period = None, at: At = None
) -> Response:
    """Each with the amount by which it changed the figure: together they are the figure, to the last digit.

    With `at` the figure as it was then.
    """
    moment = await moment_of(service, at)
    explanation = await service.budget_explanations.explain(budget_id, period, figure, moment)
    data = [
        {**views.event(entry.event, service.event_data(entry.event)), "amount_usd": entry.amount}
        for entry in explanation.entries
    ]
    total = sum((entry.amount for entry in explanation.entries), start=ZERO)
    return views.json_response(
        {
            "budget_id": budget_id,
            "period": explanation.period_key,
            "figure": figure,
            "usd": total,
            "data": data,
            **shown_moment(moment),
        }
    )


def _plan(service: Service, plan: BudgetPlan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "scope": {name: value for name, value in asdict(plan.scope).items() if value is not None},
        "limit_usd": plan.limit,
        "period": plan.recurrence.kind,
        "time_zone": plan.recurrence.time_zone,
        "carry_over": plan.carry_over,
        "thresholds": plan.thresholds,
        "retired": plan.retired,
        "warnings": _warnings(plan, service.settings.providers),
    }


def _warnings(plan: BudgetPlan, providers: Collection[str]) -> list[str]:
    """What is allowed and most likely not meant. Another process may have other providers."""
    provider = plan.scope.provider
    if provider is None or plan.retired or provider in providers:
        return []
    known = ", ".join(providers) or "none"
    return [f"No provider {provider} is configured here ({known}), so this budget limits no call of this service."]


def _report(service: Service, report: BudgetReport) -> dict[str, Any]:
    balance, use = report.balance, report.use
    unused_lately = None if report.past else ZERO
    return {
        **_plan(service, report.plan),
        "running": {
            "key": report.period.key,
            "start": report.period.start,
            "end": report.period.end,
            "closed": report.closed,
            "limit_usd": balance.limit,
            "carried_over_usd": balance.carried_over,
            "settled_usd": balance.settled,
            "lent_usd": balance.lent,
            "held_usd": use.held_usd if use else ZERO,
            "left_usd": balance.left,
            "excess_usd": balance.excess,
            "assumed_usd": balance.assumed,
            "overrun_usd": balance.overrun,
            "spent_usd": use.spent_usd if use else ZERO,
            "spent_last_hour_usd": use.lately_usd if use else unused_lately,
            "exhausted": report.exhausted,
            "refused_usd": report.refused,
            "exhausted_at": report.exhausted_at,
            "thresholds_reached": list(report.thresholds_reached),
        },
    }
