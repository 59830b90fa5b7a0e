"""One period of a budget: what each command does in each state."""

from datetime import timedelta

import pytest

from send2llm.domain.budget_books import Balance
from send2llm.domain.errors import (
    AllowanceAlreadyEnded,
    AllowanceAlreadyGranted,
    AllowanceNotFound,
    AllowancesOutstanding,
    BudgetExceeded,
    BudgetIsRetired,
    BudgetPeriodIsClosed,
    BudgetPeriodNotFound,
    CarryOverAlreadyReceived,
    InvalidRequest,
)
from send2llm.domain.provider_budget import ProviderBudget
from send2llm.domain.provider_budget_events import (
    BalanceCarriedOver,
    BudgetExhausted,
    LimitChanged,
    PeriodClosed,
    ThresholdReached,
)
from send2llm.testing.budget_stories import (
    BUDGET,
    EXPIRY,
    HOLDER,
    NOVEMBER,
    allowance,
    ask,
    given,
    granted,
    lapsed,
    opened,
    overrun,
    plan,
    renewed,
    settled,
    state,
    usd,
)

FULL = (opened("10"), granted(1, "4"), settled(1, "4"), granted(2, "6"))
"""Nothing left: 4 settled, 6 lent."""


def reached(percent, amount):
    return ThresholdReached(percent=percent, settled_usd=usd(amount))


def closed(carried_forward="0", *, limit="10", carried_over="0", settled="0", assumed="0", overrun="0"):
    return PeriodClosed(
        limit_usd=usd(limit),
        carried_over_usd=usd(carried_over),
        settled_usd=usd(settled),
        assumed_usd=usd(assumed),
        overrun_usd=usd(overrun),
        carried_forward_usd=usd(carried_forward),
    )


def settle(number, spent):
    return lambda it: it.settle(allowance(number), usd(spent))


def lapse(number, spent, assumed="0"):
    return lambda it: it.lapse(allowance(number), spent=usd(spent), assumed=usd(assumed))


def record_overrun(number, amount, hold_id="call/1"):
    return lambda it: it.record_overrun(allowance(number), usd(amount), hold_id)


def change_limit(limit):
    return lambda it: it.change_limit(usd(limit))


class TestOpening:
    def test_takes_the_terms_of_the_plan(self):
        budget = ProviderBudget.open(plan("10", carry_over=True, thresholds=(50,)), NOVEMBER, usd("2"))
        assert budget.collect() == (0, [opened("10", "2", carry_over=True, thresholds=(50,))])
        assert budget.balance == Balance(
            limit=10, carried_over=2, settled=0, lent=0, left=12, excess=0, assumed=0, overrun=0
        )

    def test_not_for_a_retired_plan(self):
        retired = plan()
        retired.retire()
        with pytest.raises(BudgetIsRetired):
            ProviderBudget.open(retired, NOVEMBER)

    def test_carries_nothing_over_unless_planned(self):
        with pytest.raises(ValueError, match="carries nothing over"):
            ProviderBudget.open(plan(), NOVEMBER, usd("1"))

    def test_no_events_are_no_period(self):
        with pytest.raises(BudgetPeriodNotFound, match="2026-11"):
            ProviderBudget.fold(BUDGET, "2026-11", [])


class TestGranting:
    def test_lends_what_is_wanted_while_there_is_plenty(self):
        budget = given(opened("10")).when(ask(1, "4", "1")).then(granted(1, "4"))
        assert (budget.balance.lent, budget.balance.left) == (4, 6)
        assert budget.outstanding[allowance(1)].holder == HOLDER
        assert budget.expired(EXPIRY - timedelta.resolution) == []
        assert budget.expired(EXPIRY) == [allowance(1)]

    def test_tells_how_much(self):
        budget = ProviderBudget.fold(BUDGET, "2026-11", [opened("10")])
        assert ask(1, "8", "1")(budget) == 5

    def test_slices_shrink_and_all_can_be_used(self):
        slices = enumerate(("5", "2.5", "1.25", "0.625", "0.3125", "0.25"), 1)
        budget = (
            given(opened("10"))
            .when(*(ask(number, "10", "0.25") for number in range(1, 7)))
            .then(*(granted(number, amount) for number, amount in slices))
        )
        assert budget.balance.left == usd("0.0625")

    def test_half_of_an_odd_rest_is_rounded_down(self):
        given(opened("0.000000000003")).when(ask(1, "1", "0.000000000001")).then(granted(1, "0.000000000001"))

    def test_never_less_than_the_call_needs(self):
        given(opened("10")).when(ask(1, "10", "7")).then(granted(1, "7"))

    def test_the_last_unit_can_be_lent(self):
        assert given(opened("10")).when(ask(1, "10")).then(granted(1, "10")).balance.left == 0

    def test_is_refused_with_the_numbers(self):
        refusal = given(opened("9", "1"), *FULL[1:]).when(ask(3, "0.5", "0.25")).then_refused(BudgetExceeded)
        assert isinstance(refusal, BudgetExceeded)
        lacking = refusal.shortfall
        assert (lacking.needed_usd, lacking.limit_usd, lacking.carried_over_usd) == (usd("0.25"), 9, 1)
        assert (lacking.settled_usd, lacking.lent_usd, lacking.left_usd) == (4, 6, 0)
        assert (lacking.budget_id, lacking.scope) == (BUDGET, "provider=openai")
        assert (lacking.period_key, lacking.period_end) == (NOVEMBER.key, NOVEMBER.end)
        for words in ("0.25 USD", "0 USD left of 9 USD and 1 USD carried over", "4 USD are settled", "2026-12-01"):
            assert words in str(refusal)

    @pytest.mark.parametrize("ending", [(), (settled(1, "4"),), (lapsed(1, "4"),)])
    def test_an_id_is_used_once(self, ending):
        given(opened(), granted(1, "4"), *ending).when(ask(1, "1")).then_refused(AllowanceAlreadyGranted)

    @pytest.mark.parametrize(
        ("wanted", "minimum"), [("1", "2"), ("1", "0"), ("1", "-1"), ("NaN", "1"), ("1e-13", "1e-13")]
    )
    def test_of_nonsense_is_a_mistake(self, wanted, minimum):
        with pytest.raises(ValueError, match="USD"):
            given(opened()).when(ask(1, wanted, minimum)).then()


class TestSettling:
    def test_the_rest_comes_back(self):
        budget = given(opened(), granted(1, "4")).when(settle(1, "3")).then(settled(1, "3", returned="1"))
        assert (budget.balance.settled, budget.balance.lent, budget.balance.left) == (3, 0, 7)
        assert not budget.outstanding

    def test_of_one_who_is_gone_counts_what_is_not_known(self):
        budget = (
            given(opened(), granted(1, "4")).when(lapse(1, "1", "2")).then(lapsed(1, "1", assumed="2", returned="1"))
        )
        assert (budget.balance.settled, budget.balance.assumed, budget.balance.left) == (3, 2, 7)

    @pytest.mark.parametrize("first", [settled(1, "4"), lapsed(1, "4")], ids=["settled", "lapsed"])
    @pytest.mark.parametrize("again", [settle(1, "3"), lapse(1, "1", "2")], ids=["settle", "lapse"])
    @pytest.mark.parametrize("then", [(), (closed(settled="4"),)], ids=["open", "closed"])
    def test_happens_once(self, first, again, then):
        refusal = given(opened(), granted(1, "4"), first, *then).when(again).then_refused(AllowanceAlreadyEnded)
        assert "too late" in str(refusal)

    @pytest.mark.parametrize("command", [settle(9, "1"), lapse(9, "1"), record_overrun(9, "1")])
    def test_only_what_was_granted(self, command):
        given(opened(), granted(1, "4")).when(command).then_refused(AllowanceNotFound)

    @pytest.mark.parametrize("command", [settle(1, "-1"), settle(1, "1e-13"), lapse(1, "0", "-1"), lapse(1, "-1", "2")])
    def test_of_nonsense_is_a_mistake(self, command):
        budget = ProviderBudget.fold(BUDGET, "2026-11", [opened(), granted(1, "4")])
        before = state(budget)
        with pytest.raises(ValueError, match="USD"):
            command(budget)
        assert state(budget) == before


class TestOverruns:
    def test_count_at_once_and_block_until_covered(self):
        budget = given(*FULL).when(record_overrun(2, "1")).then(overrun(2, "1", "call/1"))
        assert (budget.balance.lent, budget.balance.excess, budget.balance.left) == (7, 1, 0)
        with pytest.raises(BudgetExceeded):
            ask(3, "0.01")(budget)
        change_limit("11.01")(budget)
        assert ask(3, "0.01")(budget) == usd("0.01")

    def test_are_part_of_what_is_spent_in_the_end(self):
        budget = given(*FULL, overrun(2, "1", "call/1")).when(settle(2, "6.5")).then(settled(2, "6.5", returned="0.5"))
        assert (budget.balance.settled, budget.balance.lent, budget.balance.excess) == (usd("10.5"), 0, usd("0.5"))

    def test_that_nobody_recorded_show_in_the_end(self):
        budget = given(*FULL).when(settle(2, "6.5")).then(overrun(2, "0.5"), settled(2, "6.5"))
        assert (budget.balance.settled, budget.balance.overrun, budget.balance.lent) == (usd("10.5"), usd("0.5"), 0)
        given(*FULL).when(lapse(2, "4", "2.5")).then(overrun(2, "0.5"), lapsed(2, "4", assumed="2.5"))

    def test_of_an_ended_allowance_are_settled(self):
        budget = given(*FULL).when(record_overrun(1, "1")).then(overrun(1, "1", "call/1"))
        assert (budget.balance.settled, budget.balance.lent, budget.balance.excess) == (5, 6, 1)

    def test_a_hold_overruns_once(self):
        given(*FULL).when(
            record_overrun(2, "1"), record_overrun(2, "1"), record_overrun(1, "1"), record_overrun(2, "2", "call/2")
        ).then(overrun(2, "1", "call/1"), overrun(2, "2", "call/2"))

    def test_of_nothing_are_none(self):
        given(*FULL).when(record_overrun(2, "0")).then()

    def test_not_once_the_books_are_closed(self):
        given(opened(), granted(1, "4"), settled(1, "4"), closed(settled="4")).when(
            record_overrun(1, "1")
        ).then_refused(BudgetPeriodIsClosed)


class TestTheLimit:
    def test_goes_up_at_once(self):
        budget = given(*FULL).when(change_limit("12")).then(LimitChanged(limit_usd=usd("12")))
        assert budget.balance.left == 2

    def test_goes_down_below_what_is_gone_and_says_so(self):
        budget = given(*FULL).when(change_limit("5")).then(LimitChanged(limit_usd=usd("5")))
        assert (budget.balance.left, budget.balance.excess) == (0, 5)

    def test_lends_again_when_what_came_back_covers_it(self):
        lowered = (*FULL, LimitChanged(limit_usd=usd("7")))
        given(*lowered).when(ask(3, "1")).then_refused(BudgetExceeded)
        given(*lowered, settled(2, "1", returned="5")).when(ask(3, "1")).then(granted(3, "1"))

    def test_the_same_changes_nothing(self):
        given(*FULL).when(change_limit("10.00")).then()

    @pytest.mark.parametrize("limit", ["0", "-1", "NaN"])
    def test_nonsense_is_refused(self, limit):
        given(*FULL).when(change_limit(limit)).then_refused(InvalidRequest)


class TestThresholds:
    HALF = (opened("10", thresholds=(50, 80, 100)), granted(1, "10"))

    def test_are_told_once_in_order(self):
        budget = (
            given(*self.HALF)
            .when(settle(1, "8"))
            .then(settled(1, "8", returned="2"), reached(50, "8"), reached(80, "8"))
        )
        assert budget.thresholds_reached == {50, 80}
        given(*self.HALF, settled(1, "8"), reached(50, "8"), reached(80, "8"), granted(2, "1")).when(
            settle(2, "0.5")
        ).then(settled(2, "0.5", returned="0.5"))

    def test_lent_money_is_not_spent(self):
        given(opened("10", thresholds=(50,))).when(ask(1, "10")).then(granted(1, "10"))

    def test_what_was_carried_over_counts(self):
        given(opened("10", "10", thresholds=(50,)), granted(1, "10")).when(settle(1, "9.999999999999")).then(
            settled(1, "9.999999999999", returned="0.000000000001")
        )

    def test_are_told_again_under_a_higher_limit(self):
        budget = (
            given(*self.HALF, settled(1, "8"), reached(50, "8"), reached(80, "8"))
            .when(change_limit("16"))
            .then(LimitChanged(limit_usd=usd("16")))
        )
        assert budget.thresholds_reached == {50}
        ask(2, "8")(budget)
        settle(2, "8")(budget)
        assert budget.thresholds_reached == {50, 80, 100}

    def test_a_lower_limit_reaches_them(self):
        given(*self.HALF, settled(1, "4", returned="6")).when(change_limit("8")).then(
            LimitChanged(limit_usd=usd("8")), reached(50, "4")
        )

    def test_an_overrun_of_an_ended_allowance_reaches_them(self):
        given(*self.HALF, settled(1, "4", returned="6")).when(record_overrun(1, "1")).then(
            overrun(1, "1", "call/1"), reached(50, "5")
        )

    def test_so_does_the_end_of_a_holder(self):
        given(*self.HALF).when(lapse(1, "1", "4")).then(lapsed(1, "1", assumed="4", returned="5"), reached(50, "5"))


class TestExhaustion:
    def exhausted(self, needed, settled, lent):
        return BudgetExhausted(needed_usd=usd(needed), settled_usd=usd(settled), lent_usd=usd(lent))

    def note(self, needed):
        return lambda it: it.note_exhaustion(usd(needed))

    def test_is_recorded_when_nothing_that_comes_home_would_do(self):
        budget = given(*FULL).when(self.note("6.1")).then(self.exhausted("6.1", "4", "6"))
        assert budget.refused == usd("6.1")

    def test_is_none_while_lent_money_may_come_home(self):
        given(*FULL).when(self.note("6")).then()

    def test_is_told_once(self):
        given(*FULL, self.exhausted("7", "4", "6")).when(self.note("8")).then()

    def test_is_told_again_under_another_limit(self):
        budget = (
            given(*FULL, self.exhausted("7", "4", "6")).when(change_limit("11")).then(LimitChanged(limit_usd=usd("11")))
        )
        assert budget.refused is None
        self.note("7.5")(budget)
        assert budget.collect() == (6, [self.exhausted("7.5", "4", "6")])

    @pytest.mark.parametrize(
        ("spent", "needed", "exhausted"),
        [
            ("0.1", "50", False),  # one call was too dear: nearly all is left for others
            ("9.8", "0.3", False),
            ("9.95", "0.06", True),  # the last hundredth is for no call
            ("9.95", None, False),
            ("10", None, True),
        ],
    )
    def test_there_is_something_left_until_nothing_useful_is(self, spent, needed, exhausted):
        events = [opened("10"), granted(1, spent), settled(1, spent, returned="0")]
        budget = given(*events, *([self.exhausted(needed, spent, "0")] if needed else [])).when().then()
        assert budget.exhausted == exhausted

    def test_is_of_no_interest_once_closed(self):
        given(opened(), closed()).when(self.note("11")).then()


class TestClosing:
    def test_states_the_totals(self):
        budget = (
            given(opened("10", "1", carry_over=True), granted(1, "4"), lapsed(1, "1", assumed="2", returned="1"))
            .when(record_overrun(1, "0.5"), lambda it: it.close())
            .then(
                overrun(1, "0.5", "call/1"),
                closed("7.5", carried_over="1", settled="3.5", assumed="2", overrun="0.5"),
            )
        )
        assert budget.closed
        assert budget.carried_forward == usd("7.5")

    def test_carries_nothing_forward_unless_planned(self):
        given(opened("10")).when(lambda it: it.close()).then(closed("0"))

    def test_carries_no_more_forward_than_the_limit(self):
        given(opened("10", "10", carry_over=True)).when(lambda it: it.close()).then(closed("10", carried_over="10"))

    def test_carries_no_debt_forward(self):
        given(opened("10", carry_over=True), granted(1, "10"), settled(1, "9"), LimitChanged(limit_usd=usd("8"))).when(
            lambda it: it.close()
        ).then(closed("0", limit="8", settled="9"))

    def test_twice_changes_nothing(self):
        given(opened(), closed()).when(lambda it: it.close()).then()

    def test_not_while_anything_is_lent(self):
        refusal = given(*FULL).when(lambda it: it.close()).then_refused(AllowancesOutstanding)
        assert "not settled yet: 1" in str(refusal)

    @pytest.mark.parametrize(
        "command", [ask(3, "1"), change_limit("20"), lambda it: it.receive_carry_over("2026-10", usd("1"))]
    )
    def test_is_final(self, command):
        given(opened(carry_over=True), closed()).when(command).then_refused(BudgetPeriodIsClosed)


class TestCarryOver:
    CARRIED = BalanceCarriedOver(period_key="2026-10", amount_usd=usd("3"))

    def receive(self, amount="3"):
        return lambda it: it.receive_carry_over("2026-10", usd(amount))

    def test_may_come_late(self):
        budget = given(opened(carry_over=True)).when(self.receive()).then(self.CARRIED)
        assert (budget.balance.carried_over, budget.balance.left) == (3, 13)

    @pytest.mark.parametrize("before", [(opened("10", "1", carry_over=True),), (opened(carry_over=True), CARRIED)])
    def test_comes_once(self, before):
        given(*before).when(self.receive()).then_refused(CarryOverAlreadyReceived)

    def test_of_nothing_is_none(self):
        given(opened(carry_over=True)).when(self.receive("0")).then()

    def test_only_if_planned(self):
        with pytest.raises(ValueError, match="carries nothing over"):
            given(opened()).when(self.receive()).then()

    def test_takes_thresholds_back_that_are_no_longer_reached(self):
        before = (opened(carry_over=True, thresholds=(50,)), granted(1, "5"), settled(1, "5"), reached(50, "5"))
        assert given(*before).when(self.receive()).then(self.CARRIED).thresholds_reached == set()


class TestCopies:
    def test_go_their_own_way(self):
        original = ProviderBudget.fold(BUDGET, "2026-11", FULL)
        before = state(original)
        twin = original.copy()
        record_overrun(2, "1")(twin)
        settle(2, "1")(twin)
        ask(3, "2")(twin)
        assert state(original) == before
        settle(2, "1")(original)
        record_overrun(2, "1")(original)
        assert original.balance.overrun == 1

    def test_leave_uncollected_events_behind(self):
        budget = ProviderBudget.open(plan(), NOVEMBER)
        assert budget.copy().collect() == (1, [])
        assert budget.collect() == (0, [opened()])


class TestRenewing:
    LATER = EXPIRY + timedelta(minutes=5)

    def test_the_idle_part_comes_back_while_calls_run(self):
        budget = (
            given(opened(), granted(1, "4"))
            .when(lambda it: it.renew(allowance(1), amount=usd("1.5"), expires_at=self.LATER))
            .then(renewed(1, "1.5", self.LATER))
        )
        assert (budget.balance.lent, budget.balance.left, budget.balance.settled) == (usd("1.5"), usd("8.5"), 0)
        assert budget.expired(EXPIRY) == []
        assert budget.expired(self.LATER) == [allowance(1)]

    def test_what_it_is_settled_with_counts_against_what_was_kept(self):
        given(opened(), granted(1, "4"), renewed(1, "1.5")).when(settle(1, "1")).then(settled(1, "1", returned="0.5"))

    def test_the_same_again_changes_nothing(self):
        given(opened(), granted(1, "4")).when(
            lambda it: it.renew(allowance(1), amount=usd("4"), expires_at=EXPIRY)
        ).then()

    def test_nothing_can_be_added(self):
        budget = ProviderBudget.fold(BUDGET, NOVEMBER.key, (opened(), granted(1, "4")))
        with pytest.raises(ValueError, match="4 USD, less than 5"):
            budget.renew(allowance(1), amount=usd("5"), expires_at=EXPIRY)

    @pytest.mark.parametrize("ending", [settled(1, "4"), lapsed(1, "4")], ids=["settled", "lapsed"])
    def test_it_is_too_late_once_it_has_ended(self, ending):
        given(opened(), granted(1, "4"), ending).when(
            lambda it: it.renew(allowance(1), amount=usd("1"), expires_at=self.LATER)
        ).then_refused(AllowanceAlreadyEnded)

    def test_one_that_was_never_granted_cannot_be(self):
        given(opened()).when(lambda it: it.renew(allowance(1), amount=usd("1"), expires_at=self.LATER)).then_refused(
            AllowanceNotFound
        )
