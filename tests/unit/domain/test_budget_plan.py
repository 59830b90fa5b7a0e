"""The standing definition of a budget: what is accepted, what is refused and why, what can change."""

from decimal import Decimal

import pytest

from send2llm.domain.budget_period import Recurrence
from send2llm.domain.budget_plan import BudgetPlan
from send2llm.domain.budget_plan_events import BudgetChanged, BudgetDefined, BudgetRetired
from send2llm.domain.budget_scope import BudgetScope
from send2llm.domain.errors import BudgetIsRetired, BudgetNotFound, InvalidRequest
from send2llm.testing.budget_stories import BUDGET, SCOPE, plan, usd


def test_is_defined_once_and_for_all_in_one_event():
    defined = BudgetPlan.define(BUDGET, scope=SCOPE, limit=usd("10"), recurrence=Recurrence("week", "Asia/Tokyo"))
    assert defined.collect() == (
        0,
        [
            BudgetDefined(
                scope=SCOPE,
                limit_usd=usd("10"),
                recurrence=Recurrence("week", "Asia/Tokyo"),
                carry_over=False,
                thresholds=(50, 80, 100),
            )
        ],
    )


def test_folds_from_its_events():
    live = plan(carry_over=True, thresholds=(80, 50, 80))
    live.change(limit=usd("20"))
    live.retire("over")
    folded = BudgetPlan.fold(BUDGET, live.collect()[1])
    for it in (live, folded):
        assert (it.scope, it.limit, it.recurrence, it.carry_over, it.thresholds, it.retired, it.version) == (
            SCOPE,
            usd("20"),
            Recurrence("month"),
            True,
            (50, 80),
            True,
            3,
        )


def test_no_events_are_no_budget():
    with pytest.raises(BudgetNotFound, match=str(BUDGET)):
        BudgetPlan.fold(BUDGET, [])


@pytest.mark.parametrize(
    ("terms", "param", "says"),
    [
        ({"limit": "0"}, "limit_usd", "0.000000000001, lets nothing through"),
        ({"limit": "-1"}, "limit_usd", "more than 0 and at most"),
        ({"limit": "NaN"}, "limit_usd", "more than 0 and at most"),
        ({"limit": "sNaN"}, "limit_usd", "more than 0 and at most"),
        ({"limit": "Infinity"}, "limit_usd", "more than 0 and at most"),
        ({"limit": "1E+999999999"}, "limit_usd", "more than 0 and at most"),
        ({"limit": "1E-999999999"}, "limit_usd", "pico-dollar"),
        ({"limit": "0.0000000000001"}, "limit_usd", "pico-dollar"),
        ({"recurrence": Recurrence("fortnight")}, "period", "hour, day, week, month, total"),
        ({"recurrence": Recurrence("day", "Mars/Olympus")}, "time_zone", "Europe/Berlin"),
        ({"recurrence": Recurrence("day", "../../etc/passwd")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "America")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "localtime")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "posixrules")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "Factory")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "right/Europe/Berlin")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "\ud800")}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("day", "A" * 5_000)}, "time_zone", "IANA"),
        ({"recurrence": Recurrence("total"), "carry_over": True}, "carry_over", "no next period"),
        ({"thresholds": (0,)}, "thresholds", "1 to 100"),
        ({"thresholds": (50, 101)}, "thresholds", "101"),
        ({"thresholds": (True,)}, "thresholds", "True"),
        ({"thresholds": (99.5,)}, "thresholds", "99.5"),
        ({"scope": BudgetScope("")}, "scope.provider", "leave it out"),
        ({"scope": BudgetScope("openai", model="")}, "scope.model", "leave it out"),
        ({"scope": BudgetScope("open ai")}, "scope.provider", "blank"),
        ({"scope": BudgetScope("openai/gpt-4o")}, "scope.provider", "no slash"),
        ({"scope": BudgetScope("openai", model="gpt-4o\x00")}, "scope.model", "invisible"),
        ({"scope": BudgetScope("openai", tenant="a" * 300_000)}, "scope.tenant", "at most 200"),
        ({"scope": BudgetScope("openai", actor="\ud800")}, "scope.actor", "invisible"),
        ({"scope": BudgetScope(model="gpt-4o")}, "scope.provider", "needs a provider"),
        ({"scope": BudgetScope("openai", model="gpt-4o", tenant="acme")}, "scope.tenant", "each"),
    ],
    ids=str,
)
def test_nonsense_is_refused(terms, param, says):
    with pytest.raises(InvalidRequest, match=says) as refusal:
        plan(**terms)
    assert refusal.value.param == param


class TestChanging:
    def test_states_all_terms(self):
        it = plan("10", thresholds=(50,))
        it.collect()
        it.change(carry_over=True)
        assert it.collect() == (1, [BudgetChanged(limit_usd=usd("10"), carry_over=True, thresholds=(50,))])

    def test_to_the_same_changes_nothing(self):
        it = plan("10", thresholds=(50,))
        it.collect()
        it.change()
        it.change(limit=usd("10.00"), carry_over=False, thresholds=[50])
        assert it.collect() == (1, [])

    @pytest.mark.parametrize("terms", [{"limit": Decimal(0)}, {"thresholds": (0,)}])
    def test_to_nonsense_is_refused(self, terms):
        it = plan()
        with pytest.raises(InvalidRequest):
            it.change(**terms)
        assert it.version == 1

    def test_a_total_never_carries_over(self):
        it = plan(recurrence=Recurrence("total"))
        with pytest.raises(InvalidRequest, match="no next period"):
            it.change(carry_over=True)


class TestRetiring:
    def test_is_final(self):
        it = plan()
        it.collect()
        it.retire("over")
        it.retire("again")
        assert it.collect() == (1, [BudgetRetired(reason="over")])
        with pytest.raises(BudgetIsRetired, match="define a new one"):
            it.change(limit=usd("20"))
