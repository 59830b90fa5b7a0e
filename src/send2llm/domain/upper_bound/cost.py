"""The most that a request can cost, and the longest answer that an amount pays for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import Self

from send2llm.domain.completion import Parameters, Usage
from send2llm.domain.errors import CannotBound
from send2llm.domain.message import ForeignPart, JsonObject, Message
from send2llm.domain.money import PICO_DOLLAR, ZERO, Price, Rate
from send2llm.domain.upper_bound.allowances import ANY_MODEL, Allowances
from send2llm.domain.upper_bound.input_tokens import most_input_tokens
from send2llm.domain.upper_bound.request_fields import is_cached_for_long

UNLIMITED_OUTPUT_TOKENS = 2**31 - 1
"""The answer to "how long?" where output costs nothing: the largest limit that every server can read."""

LONG_CACHE_WRITE = Decimal("1.6")
"""How much dearer than usual it is to write to the cache for an hour: 2 times the input to 1.25 times (Anthropic)."""

_MILLION = Decimal(1_000_000)
_FLOOR = Context(prec=60, rounding=ROUND_FLOOR)
_CEILING = Context(prec=60, rounding=ROUND_CEILING)


@dataclass(frozen=True, slots=True)
class FlatRates:
    """A flat price in integers, so that a bound costs a microsecond: 10^-18 US dollars for each token, and request.

    Rounded up where a price has more digits than that.
    """

    input: int
    output: int
    request: int

    @classmethod
    def of(cls, price: Price) -> Self:
        """The rates of a price without tiers."""
        return cls(
            _atto_dollars(price.input.usd, 12),
            _atto_dollars(price.output.usd, 12),
            _atto_dollars(price.per_request, 18),
        )


_ATTO_PER_PICO = 10**6


def _atto_dollars(usd: Decimal, digits: int) -> int:
    with localcontext(_CEILING):
        return int(usd.scaleb(digits).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class CostBound:
    """The most that one request can cost, in whole pico-dollars, by how long its answers may be.

    No usage with at most ``input_tokens`` exceeds the flat ``rates``.
    """

    rates: FlatRates
    input_tokens: int
    choices: int

    @classmethod
    def of(cls, price: Price, messages: Iterable[Message], parameters: Parameters, input_tokens: int) -> Self:
        """The bound for a request with at most ``input_tokens``, as ``most_input_tokens`` counts them."""
        dearest = _dearest(price, messages, parameters, input_tokens)
        return cls(FlatRates.of(dearest), input_tokens, parameters.choices)

    def cost(self, output_limit: int) -> int:
        """The most that it costs if each answer has at most ``output_limit`` tokens."""
        rates = self.rates
        atto = rates.request + self.input_tokens * rates.input + output_limit * self.choices * rates.output
        return -(-atto // _ATTO_PER_PICO)

    def output_limit_within(self, amount: int) -> int:
        """The longest answers, in tokens of each, that ``amount`` is sure to pay for; 0 if none."""
        rest = amount * _ATTO_PER_PICO - self.rates.request - self.input_tokens * self.rates.input
        if rest < 0:
            return 0
        each = self.rates.output * self.choices
        return UNLIMITED_OUTPUT_TOKENS if each == 0 else min(UNLIMITED_OUTPUT_TOKENS, rest // each)


def output_limit(parameters: Parameters, model_limit: int | None = None) -> int | None:
    """The most tokens of each answer: what the caller asked for, and no more than the model can write.

    The bounds here hold if this, or less, is what the provider is told. ``None``: nothing limits the answer.
    """
    asked = parameters.max_output_tokens
    limits = [limit for limit in (asked, model_limit) if limit is not None and limit > 0]
    return min(limits, default=None)


def most_output_tokens(parameters: Parameters, model_limit: int | None = None) -> int | None:
    """The most output tokens of a request, over all its choices and with reasoning; ``None`` if nothing limits them."""
    limit = output_limit(parameters, model_limit)
    return None if limit is None else limit * parameters.choices


def most_cost(
    price: Price,
    messages: Sequence[Message],
    parameters: Parameters,
    *,
    model_limit: int | None = None,
    allowances: Allowances = ANY_MODEL,
    input_tokens: int | None = None,
) -> Decimal:
    """The most US dollars that the request can cost.

    ``input_tokens`` is the result of ``most_input_tokens`` where it is known already. Raises ``CannotBound`` when the
    input, or the output, has no bound.
    """
    output_tokens = most_output_tokens(parameters, model_limit)
    if output_tokens is None:
        raise CannotBound(
            "Nothing limits the length of the answer, so that no budget can cover it. Set max_completion_tokens.",
            param="max_completion_tokens",
        )
    if input_tokens is None:
        input_tokens = most_input_tokens(messages, parameters, allowances)
    return _dearest(price, messages, parameters, input_tokens).cost(Usage(input_tokens, output_tokens))


def affordable_output_tokens(
    price: Price,
    messages: Sequence[Message],
    parameters: Parameters,
    amount: Decimal,
    *,
    floor: int = 1,
    model_limit: int | None = None,
    allowances: Allowances = ANY_MODEL,
    input_tokens: int | None = None,
) -> int:
    """The longest answers, in tokens of each, with which the request is sure to cost no more than ``amount`` (USD).

    Never more than ``output_limit``; 0 when it would be less than ``floor``, or than a shorter answer that was asked
    for: then the amount does not cover the request. Raises ``CannotBound`` when the input has no bound.
    """
    if input_tokens is None:
        input_tokens = most_input_tokens(messages, parameters, allowances)
    limit = output_limit(parameters, model_limit)
    longest = UNLIMITED_OUTPUT_TOKENS if limit is None else limit
    dearest = _dearest(price, messages, parameters, input_tokens)
    tokens = min(longest, _affordable(dearest, input_tokens, parameters.choices, amount))
    return tokens if tokens >= min(floor, longest) else 0


def _affordable(price: Price, input_tokens: int, choices: int, amount: Decimal) -> int:
    with localcontext(_FLOOR):
        # Costs are whole pico-dollars, so what the amount has beyond them buys nothing.
        rest = amount.quantize(PICO_DOLLAR) - price.per_request - input_tokens * price.input.usd / _MILLION
        if rest < 0:
            return 0
        per_token = price.output.usd * choices
        if per_token == 0:
            return UNLIMITED_OUTPUT_TOKENS
        return min(UNLIMITED_OUTPUT_TOKENS, int(rest * _MILLION / per_token))


def _dearest(price: Price, messages: Iterable[Message], parameters: Parameters, input_tokens: int) -> Price:
    """A flat price that no usage with at most ``input_tokens`` exceeds.

    Tiers are taken at their dearest below that many tokens, because the true count may be anywhere below; and each
    token of the prompt may be new, read from the cache, or written to it.
    """
    write = ZERO if price.cache_write is None else _highest(price.cache_write, input_tokens)
    if (write or price.cache_write_1h is not None) and _is_cached_for_long(messages, parameters):
        with localcontext(_FLOOR):
            write *= LONG_CACHE_WRITE
        if price.cache_write_1h is not None:
            write = max(write, _highest(price.cache_write_1h, input_tokens))
    read = ZERO if price.cache_read is None else _highest(price.cache_read, input_tokens)
    return Price(
        version=price.version,
        input=Rate(max(write, read, _highest(price.input, input_tokens))),
        output=Rate(_highest(price.output, input_tokens)),
        per_request=price.per_request,
    )


def _highest(rate: Rate, input_tokens: int) -> Decimal:
    return max(rate.usd, *(tier.usd for tier in rate.tiers if tier.above < input_tokens), ZERO)


def is_flat(price: Price) -> bool:
    """Whether no request of any length, however it is cached, can make the price another one."""
    if price.cache_write is not None or price.cache_write_1h is not None:
        return False
    return not any(rate is not None and rate.tiers for rate in (price.input, price.output, price.cache_read))


def _is_cached_for_long(messages: Iterable[Message], parameters: Parameters) -> bool:
    if is_cached_for_long(parameters.extras) or any(map(_is_tool_cached_for_long, parameters.tools)):
        return True
    for message in messages:
        if message.extras and is_cached_for_long(message.extras):
            return True
        for part in message.parts:
            extras = part.body if isinstance(part, ForeignPart) else getattr(part, "extras", None)
            if extras and is_cached_for_long(extras):
                return True
    return False


def _is_tool_cached_for_long(tool: JsonObject) -> bool:
    return is_cached_for_long(tool) or any(
        is_cached_for_long(further) for further in tool.values() if isinstance(further, Mapping)
    )
