"""Amounts as integers: US dollars to whole pico-dollars (10^-12 USD) and back, exactly.

Sums of ``Decimal`` are rounded to the precision of whatever decimal context is in force; sums of integers are
not. So balances are kept in integers, and are ``Decimal`` where they are shown or stored.
"""

from decimal import Context, Decimal

from send2llm.domain.money import PICO_DOLLAR

LARGEST = Decimal("1e15")
"""More US dollars than anybody has; it keeps absurd exponents out of the integers."""

_EXACT = Context(prec=60)


def pico_dollars(usd: Decimal) -> int:
    """The whole pico-dollars in ``usd``; ``ValueError`` when it is negative, absurd, or finer than that."""
    if not usd.is_finite() or not 0 <= usd <= LARGEST:
        raise ValueError(f"{usd} USD is not an amount from 0 to {LARGEST:f} USD.")
    whole = usd.quantize(PICO_DOLLAR, context=_EXACT)
    if whole != usd:
        raise ValueError(f"{usd} USD is finer than a pico-dollar (0.000000000001 USD); round it up.")
    return int(whole.scaleb(12, _EXACT))


def dollars(amount: int) -> Decimal:
    """Pico-dollars in US dollars."""
    return Decimal(amount).scaleb(-12, _EXACT).normalize(_EXACT)
