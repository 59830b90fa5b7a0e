"""Which calls a budget pays for."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.budget_scope import WHOLE_SERVICE, BudgetedCall, BudgetScope, scopes_of

CALL = BudgetedCall("openai", "gpt-4o", "acme", "key:reporting")
FITTING = (
    BudgetScope(),
    BudgetScope("openai"),
    BudgetScope("openai", model="gpt-4o"),
    BudgetScope("openai", tenant="acme"),
    BudgetScope("openai", actor="key:reporting"),
)
NAMES = st.text(st.characters(), min_size=1, max_size=8)
SCOPES = st.one_of(
    st.just(WHOLE_SERVICE),
    st.builds(BudgetScope, NAMES),
    *(st.builds(BudgetScope, NAMES, **{name: NAMES}) for name in ("model", "tenant", "actor")),
)


def test_a_call_falls_into_each_kind_of_scope():
    assert scopes_of(CALL) == FITTING
    assert all(scope.matches(CALL) for scope in FITTING)
    for scope in FITTING:
        scope.check()


@pytest.mark.parametrize(
    ("changed", "still"),
    [("provider", {0}), ("model", {0, 1, 3, 4}), ("tenant", {0, 1, 2, 4}), ("actor", {0, 1, 2, 3})],
)
def test_another_call_falls_into_those_that_do_not_name_the_difference(changed, still):
    other = replace(CALL, **{changed: "other"})
    assert {place for place, scope in enumerate(FITTING) if scope.matches(other)} == still


def test_keys_can_be_read():
    assert [scope.key for scope in FITTING] == [
        "service",
        "provider=openai",
        "provider=openai,model=gpt-4o",
        "provider=openai,tenant=acme",
        "provider=openai,actor=key:reporting",
    ]


@given(SCOPES, SCOPES)
def test_two_scopes_never_share_a_key(one, other):
    assert (one.key == other.key) == (one == other)


@given(SCOPES)
def test_keys_are_plain_text(scope):
    assert scope.key.isascii()
    assert scope.key.isprintable()
