"""Amounts as integers and back: nothing is lost, whatever the decimal context."""

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given, strategies as st

from send2llm.domain.pico_dollars import LARGEST, dollars, pico_dollars

PICOS = st.integers(0, int(LARGEST) * 10**12)


@given(PICOS, st.integers(1, 40))
def test_there_and_back(picos, precision):
    with localcontext(Context(prec=precision)):
        assert pico_dollars(dollars(picos)) == picos


@given(PICOS)
def test_equal_amounts_are_written_the_same_way(picos):
    padded = Decimal(picos).scaleb(-12, Context(prec=60)).quantize(Decimal("1e-15"), context=Context(prec=60))
    assert str(dollars(pico_dollars(padded))) == str(dollars(picos))


@pytest.mark.parametrize("amount", ["-1e-12", "1e-13", "1.0000000000001", "1e16", "NaN", "-0.1"])
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(ValueError, match="USD"):
        pico_dollars(Decimal(amount))


def test_a_long_fraction_is_not_taken_for_a_whole_number():
    with pytest.raises(ValueError, match="finer"):
        pico_dollars(Decimal("1." + "0" * 90 + "1"))
