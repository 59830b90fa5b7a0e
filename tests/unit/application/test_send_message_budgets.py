"""Calls under budgets: what is held before they are sent, and what each ending costs."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from house import House, user

from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.patience import CallerLeft
from send2llm.domain.allowance_events import AllowanceClosed, HoldTaken
from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetScope
from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.conversation_events import (
    AttemptFailed,
    CompletionFailed,
    CompletionInterrupted,
    CompletionReceived,
    CompletionRefused,
    CompletionRequested,
)
from send2llm.domain.errors import (
    BudgetExceeded,
    CannotBound,
    ConnectionFailed,
    MalformedReply,
    Overloaded,
    PriceUnknown,
    ProviderTimedOut,
    StreamBroken,
)
from send2llm.domain.provider_budget_events import AllowanceGranted
from send2llm.infrastructure.formats.responses import read_request
from send2llm.testing.providers import Broken, FakeProvider, Held, answer

USAGE = Usage(input_tokens=10, output_tokens=20)
COST = Decimal("0.00033")
"""Of ``USAGE`` at the prices of the house."""

SHORT = Parameters(max_output_tokens=20)


def events(house: House, kind: type) -> list:
    return [one.event for one in house.store.events if isinstance(one.event, kind)]


async def settled(house: House, plan) -> Decimal:
    """What the budget has on its books, once everything has gone home."""
    await house.background.drain(1)
    await house.holds.close()
    balance = (await house.period(plan)).balance
    assert balance.lent == 0
    return balance.settled


async def test_without_a_budget_nothing_is_held(house):
    await house.complete()
    assert house.last(CompletionRequested).hold_usd is None
    assert not events(house, HoldTaken)


async def test_the_hold_is_stored_with_the_intent_and_covers_what_the_provider_may_write(house):
    plan = await house.budget("1")
    gate = asyncio.Event()
    house.provider.script(Held(answer("Hello!", usage=USAGE), gate))
    call = asyncio.create_task(house.complete(parameters=SHORT))
    await house.provider.called()

    (hold,) = events(house, HoldTaken)
    requested = house.last(CompletionRequested)
    assert (hold.amount_usd, hold.completion_id) == (requested.hold_usd, requested.completion_id)
    assert (hold.budget_id, hold.attempt) == (plan.id, 1)
    assert hold.amount_usd > COST
    assert house.store.events[-2].position == house.store.events[-1].position - 1  # in one append
    assert house.provider.calls[-1].parameters.max_output_tokens == requested.output_limit == 20
    gate.set()
    reply = await call

    assert reply.cost_usd == COST
    assert await settled(house, plan) == COST


async def test_a_call_without_a_limit_gets_one(house):
    house = House(policy=BudgetPolicy(output_tokens=77))
    await house.budget("1")
    await house.complete()
    assert house.provider.calls[-1].parameters.max_output_tokens == 77


async def test_many_calls_need_few_words_with_the_budget(house):
    plan = await house.budget("100")
    for _ in range(200):
        house.provider.script(answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
    assert len(await house.budgets.events(plan.id, "total")) < 20
    assert await settled(house, plan) == 200 * COST


async def test_a_call_that_the_budget_cannot_pay_is_refused_with_the_numbers(house):
    plan = await house.budget("0.0001")
    with pytest.raises(BudgetExceeded) as refusal:
        await house.complete(parameters=SHORT)

    assert not house.provider.calls
    refused = house.last(CompletionRefused)
    assert refused.shortfall == refusal.value.shortfall
    assert (refused.shortfall.limit_usd, refused.shortfall.left_usd) == (Decimal("0.0001"), Decimal("0.0001"))
    assert refused.error == "budget_exceeded"
    assert refused.passed_over[0].provider == "fake"
    assert refusal.value.conversation_id in house.conversation_ids()
    assert house.topics[-1] == "budget.exhausted" or "completion_refused" in house.topics
    assert house.observer.calls[-1].outcome == "refused"
    assert house.budget_observer.refusals
    assert await settled(house, plan) == 0


@pytest.mark.parametrize(
    ("limit", "asked", "says"),
    [
        ("0.0001", 300, "Send less input"),  # not even a single token of an answer would fit
        ("0.0034", 300, "Ask for fewer output tokens"),  # the shortest answer has 16, and 1 would fit
    ],
)
async def test_a_refusal_advises_what_would_help(house, limit, asked, says):
    await house.budget(limit)
    with pytest.raises(BudgetExceeded, match=says):
        await house.complete(parameters=Parameters(max_output_tokens=asked))


async def test_each_of_several_refused_calls_is_told_its_own_need(house):
    await house.budget("0.0001")
    needs = set()
    for text in ("Hi", "Hi" * 500):
        with pytest.raises(BudgetExceeded) as refusal:
            await house.complete(user(text), parameters=SHORT)
        needs.add(refusal.value.shortfall.needed_usd)
    assert len(needs) == 2


async def test_a_refused_call_can_be_said_again_in_the_same_conversation(house):
    plan = await house.budget("0.0001")
    with pytest.raises(BudgetExceeded) as refusal:
        await house.complete(user("Hi"), parameters=SHORT)
    changed = await house.budgets.plan(plan.id)
    period = await house.budgets.period(plan.id, "total")
    changed.change(limit=Decimal(1))
    period.change_limit(Decimal(1))
    await house.budgets.save(changed, period, context=house.context())
    house.clock.advance(1)

    reply = await house.complete(user("Hi"), parameters=SHORT, conversation_id=refusal.value.conversation_id)

    assert reply.conversation_id == refusal.value.conversation_id
    said = (await house.conversations.load(reply.conversation_id)).messages
    assert [one.role for one in said] == ["user", "assistant"]


async def test_the_answer_is_shortened_to_what_is_left(house):
    plan = await house.budget("0.005")
    reply = await house.complete(parameters=Parameters(max_output_tokens=4000))
    requested = house.last(CompletionRequested)
    assert 16 <= requested.output_limit < 4000
    assert requested.hold_usd <= Decimal("0.005")
    assert house.provider.calls[-1].parameters.max_output_tokens == requested.output_limit
    assert reply.budget_left_usd == Decimal("0.005") - await settled(house, plan)


async def test_all_budgets_give_or_none_does(house):
    rich, poor = await house.budget("10", WHOLE_SERVICE), await house.budget("0.0001")
    with pytest.raises(BudgetExceeded) as refusal:
        await house.complete(parameters=SHORT)
    assert refusal.value.shortfall.budget_id == poor.id
    assert not events(house, HoldTaken)
    assert (await settled(house, rich), await settled(house, poor)) == (0, 0)


async def test_a_poorer_budget_shortens_what_the_richer_one_holds(house):
    rich, poor = await house.budget("10", WHOLE_SERVICE), await house.budget("0.005")
    house.provider.script(answer("Hello!", usage=USAGE))
    await house.complete(parameters=Parameters(max_output_tokens=4000))
    assert len({hold.amount_usd for hold in events(house, HoldTaken)}) == 1
    assert (await settled(house, rich), await settled(house, poor)) == (COST, COST)


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        (WHOLE_SERVICE, True),
        (BudgetScope("fake"), True),
        (BudgetScope("fake", model="fake-model"), True),
        (BudgetScope("fake", tenant="default"), True),
        (BudgetScope("fake", actor="anonymous"), True),
        (BudgetScope("other"), False),
        (BudgetScope("fake", model="other"), False),
        (BudgetScope("fake", tenant="other"), False),
        (BudgetScope("fake", actor="other"), False),
    ],
)
async def test_only_budgets_that_cover_the_call_hold(house, scope, held):
    await house.budget("10", scope)
    await house.complete(parameters=SHORT)
    assert bool(events(house, HoldTaken)) is held


async def test_a_model_without_a_price_is_refused_under_a_budget(house):
    await house.budget("10")
    with pytest.raises(PriceUnknown):
        await house.complete(model="fake/unpriced")
    assert house.last(CompletionRefused).error == "price_unknown"
    assert not house.provider.calls


async def test_what_has_no_bound_is_refused_under_a_budget(house):
    await house.budget("10")
    with pytest.raises(CannotBound):
        await house.complete(parameters=Parameters(extras={"web_search_options": {}}))
    assert not house.provider.calls


class TestEndings:
    """Each ending costs what a stated rule says, on both sides of the books."""

    async def ends(self, house: House, cost: Decimal | None, plan) -> Decimal:
        """The first attempt's hold, after a look at the books; ``cost`` is that of all attempts, None: the hold."""
        hold = events(house, HoldTaken)[0].amount_usd
        assert await settled(house, plan) == (hold if cost is None else cost)
        return hold

    async def test_an_answer_costs_what_the_provider_reports(self, house):
        plan = await house.budget("1")
        house.provider.script(replace(answer("Hello!", usage=USAGE), reported_cost_usd=Decimal("0.0000000000001")))
        reply = await house.complete(parameters=SHORT)
        assert reply.cost_usd == Decimal("1e-12")  # rounded up
        await self.ends(house, Decimal("1e-12"), plan)

    async def test_an_answer_without_usage_costs_all_that_was_held(self, house):
        plan = await house.budget("1")
        reply = await house.complete(parameters=SHORT)
        assert reply.cost_usd == await self.ends(house, None, plan)
        assert "may have charged" in house.last(CompletionReceived).assumed

    @pytest.mark.parametrize("error", [Overloaded("busy", status=503), ProviderTimedOut("connect", 5.0)])
    async def test_an_attempt_that_the_provider_did_not_work_for_costs_nothing(self, house, error):
        plan = await house.budget("1")
        house.provider.script(error, answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        assert house.last(AttemptFailed).cost_usd is None
        assert house.last(AttemptFailed).next_attempt.hold_usd == events(house, HoldTaken)[1].amount_usd
        assert [hold.attempt for hold in events(house, HoldTaken)] == [1, 2]
        await self.ends(house, COST, plan)

    async def test_the_same_money_serves_the_next_attempt(self, house):
        plan = await house.budget("0.005")  # enough for one
        house.provider.script(Overloaded("busy", status=503), answer("Hello!", usage=USAGE))
        await house.complete(parameters=Parameters(max_output_tokens=90))
        await self.ends(house, COST, plan)

    @pytest.mark.parametrize(
        "error", [ConnectionFailed("lost"), MalformedReply("what?"), ProviderTimedOut("total", 9.0)]
    )
    async def test_an_attempt_that_may_have_been_worked_for_costs_all_that_was_held(self, house, error):
        plan = await house.budget("1")
        house.provider.script(error, answer("Hello!", usage=USAGE))
        if error.retryable:
            reply = await house.complete(parameters=SHORT)
            hold = events(house, HoldTaken)[0].amount_usd
            assert house.last(AttemptFailed).cost_usd == hold
            assert reply.cost_usd == hold + COST
            await self.ends(house, hold + COST, plan)
        else:
            with pytest.raises(ProviderTimedOut):
                await house.complete(parameters=SHORT)
            await self.ends(house, None, plan)

    async def test_no_money_for_another_attempt_ends_the_call_with_the_providers_error(self, house):
        plan = await house.budget("0.005")
        house.provider.script(ConnectionFailed("lost"))
        with pytest.raises(ConnectionFailed):
            await house.complete(parameters=Parameters(max_output_tokens=60))
        assert house.last(AttemptFailed).next_attempt is None
        assert house.last(CompletionFailed).attempts == 1
        await self.ends(house, None, plan)

    async def test_a_caller_that_leaves_costs_all_that_was_held(self, house):
        plan = await house.budget("1")
        gate = asyncio.Event()
        house.provider.script(Held(answer("one two three", usage=USAGE), gate, after=2))
        stream = await house.stream(parameters=SHORT)
        batches = stream.batches()
        await anext(batches)
        house.caller.leave()
        with pytest.raises(CallerLeft):
            await anext(batches)
        interrupted = house.last(CompletionInterrupted)
        assert interrupted.cost_usd == await self.ends(house, None, plan)
        assert interrupted.attempts == 1

    async def test_a_caller_that_leaves_between_two_attempts_costs_nothing(self, house):
        plan = await house.budget("1")
        house.provider.script(Overloaded("busy", status=503), answer("Hello!", usage=USAGE))
        sleeping = house.clock.sleep

        async def leave(seconds: float) -> None:
            house.caller.leave()
            await sleeping(seconds)

        house.clock.sleep = leave
        with pytest.raises(CallerLeft):
            await house.complete(parameters=SHORT)
        interrupted = house.last(CompletionInterrupted)
        assert (interrupted.cost_usd, interrupted.attempts) == (0, 2)
        await self.ends(house, Decimal(0), plan)

    async def test_a_stream_that_breaks_costs_all_that_was_held(self, house):
        plan = await house.budget("1")
        house.provider.script(Broken(answer("one two", usage=USAGE), StreamBroken("it broke"), after=2))
        with pytest.raises(StreamBroken):
            await house.streamed(parameters=SHORT)
        assert house.last(AttemptFailed).cost_usd is None
        assert house.last(CompletionInterrupted).cost_usd == await self.ends(house, None, plan)

    async def test_a_stream_costs_what_its_usage_says(self, house):
        plan = await house.budget("1")
        house.provider.script(answer("one two", usage=USAGE))
        await house.streamed(parameters=SHORT)
        await self.ends(house, COST, plan)

    async def test_an_overrun_is_recorded_and_blocks_until_it_is_covered(self, house):
        plan = await house.budget("0.01")
        house.provider.script(answer("Hello!", usage=Usage(input_tokens=10, output_tokens=100_000)))
        await house.complete(parameters=SHORT)
        await house.holds.tidy()
        cost = Decimal("1.50003")
        balance = (await house.period(plan)).balance
        hold = events(house, HoldTaken)[0].amount_usd
        assert balance.overrun == cost - hold
        assert house.budget_observer.overruns == [(plan.id, "total", cost - hold)]
        with pytest.raises(BudgetExceeded):
            await house.complete(parameters=SHORT)
        assert await settled(house, plan) == cost


class TestRoutes:
    async def test_a_candidate_that_no_budget_pays_is_passed_over(self):
        house = House(
            providers=[FakeProvider("dear"), FakeProvider("cheap")], routes={"any": ["dear/model", "cheap/model"]}
        )
        await house.budget("0.0001", BudgetScope("dear"))
        reply = await house.complete(model="any", parameters=SHORT)
        assert reply.provider == "cheap"
        requested = house.last(CompletionRequested)
        assert requested.provider == "cheap"
        assert [(one.provider, one.error) for one in requested.passed_over] == [("dear", "budget_exceeded")]

    async def test_the_next_candidate_has_a_hold_of_its_own(self):
        house = House(
            providers=[FakeProvider("first"), FakeProvider("second")], routes={"any": ["first/model", "second/model"]}
        )
        one, two = await house.budget("1", BudgetScope("first")), await house.budget("1", BudgetScope("second"))
        house.providers[0].script(*[Overloaded("busy", status=503)] * 3)
        house.providers[1].script(answer("Hello!", usage=USAGE))
        await house.complete(model="any", parameters=SHORT)
        assert [(hold.budget_id, hold.attempt) for hold in events(house, HoldTaken)] == [
            (one.id, 1),
            (one.id, 2),
            (one.id, 3),
            (two.id, 4),
        ]
        await house.holds.close()
        assert (await house.budgets.period(one.id, "total")).balance.settled == 0
        assert (await house.budgets.period(two.id, "total")).balance.settled == COST


class TestMoneyThatWasTakenAway:
    async def close_all(self, house: House) -> None:
        for allowance_id in {event.allowance_id for event in events(house, AllowanceGranted)}:
            await house.budgets.close_allowance(allowance_id, "lapsed", context=house.context())

    async def test_nothing_is_held_from_it_any_more(self, house):
        await house.budget("1")
        await house.complete(parameters=SHORT)
        await self.close_all(house)
        await house.complete(parameters=SHORT)
        closed = next(n for n, one in enumerate(house.store.events) if isinstance(one.event, AllowanceClosed))
        later = [one for one in house.store.events[closed:] if isinstance(one.event, HoldTaken)]
        assert len(later) == 1
        assert later[0].version == 1  # of a new allowance

    async def test_another_attempt_takes_new_money(self, house):
        await house.budget("1")
        gate = asyncio.Event()
        house.provider.script(Held(Overloaded("busy", status=503), gate), answer("Hello!", usage=USAGE))
        call = asyncio.create_task(house.complete(parameters=SHORT))
        await house.provider.called()
        await self.close_all(house)
        gate.set()
        assert (await call).attempts == 2


class TestPeriods:
    async def test_a_call_belongs_to_the_period_in_which_it_was_held(self, house):
        plan = await house.budget("1", recurrence=Recurrence("hour"))
        before = plan.recurrence.containing(house.clock.now())
        gate = asyncio.Event()
        house.provider.script(Held(answer("Hello!", usage=USAGE), gate))
        call = asyncio.create_task(house.complete(parameters=SHORT))
        await house.provider.called()
        house.clock.advance(3600)
        gate.set()
        await call
        house.provider.script(answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        await house.holds.close()
        after = plan.recurrence.after(before)
        for period in (before, after):
            assert (await house.budgets.period(plan.id, period.key)).balance.settled == COST

    async def test_a_closed_period_is_not_opened_again_by_a_late_clock(self, house):
        plan = await house.budget("1", recurrence=Recurrence("hour"))
        await house.complete(parameters=SHORT)
        await house.holds.close()
        now = plan.recurrence.containing(house.clock.now())
        budget = await house.budgets.period(plan.id, now.key)
        budget.close()
        await house.budgets.save(budget, context=house.context())
        house.provider.script(answer("Hello!", usage=USAGE))
        await house.complete(parameters=SHORT)
        await house.holds.close()
        assert (await house.budgets.period(plan.id, plan.recurrence.after(now).key)).balance.settled == COST


async def test_a_request_of_a_coding_agent_fits_a_budget(house):
    """What Codex sends with each turn, in the format of OpenAI's responses."""
    await house.budget("1")
    read = read_request(
        {
            "model": "m",
            "instructions": "You are a coding agent.",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
                {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"},
                {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
            ],
            "tools": [
                {"type": "function", "name": "exec_command", "parameters": {"type": "object"}, "strict": False},
                {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark"}},
            ],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "text": {"verbosity": "low"},
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "k",
            "client_metadata": {"session_id": "s"},
        }
    )
    await house.complete(*read.messages, parameters=read.parameters)
    assert house.last(CompletionRequested).hold_usd > 0


async def test_a_tool_that_the_provider_runs_fits_no_budget(house):
    await house.budget("1")
    read = read_request({"model": "m", "input": "Hi", "tools": [{"type": "web_search"}]})
    with pytest.raises(CannotBound, match="tool"):
        await house.complete(*read.messages, parameters=read.parameters)
