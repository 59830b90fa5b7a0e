"""The most that a call can cost, asked again in each turn of a conversation."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from uuid import UUID

from send2llm.application.budgets.policy import BudgetPolicy
from send2llm.application.ports import PriceBook
from send2llm.domain.completion import Parameters
from send2llm.domain.errors import PriceUnknown
from send2llm.domain.message import Message
from send2llm.domain.money import Price, Rate
from send2llm.domain.upper_bound import (
    Allowances,
    CostBound,
    FlatRates,
    allowances_for,
    is_flat,
    most_input_tokens,
    most_message_tokens,
    output_limit,
)

_REMEMBERED = 10_000

FREE = FlatRates(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the model will read. The first ``stored`` messages are in the event store, and so never change."""

    conversation_id: UUID
    messages: Sequence[Message]
    stored: int


@dataclass(frozen=True)
class CallBound:
    """What one attempt must hold; amounts are whole pico-dollars.

    ``output_limit`` is the most tokens of each answer for ``most``, and what the provider has to be told.
    """

    cost: CostBound
    output_limit: int
    least_output_limit: int

    @cached_property
    def most(self) -> int:
        """All that the attempt can cost."""
        return self.cost.cost(self.output_limit)

    @cached_property
    def least(self) -> int:
        """What it can cost with the shortest answers that are worth asking for; with less it is refused."""
        return self.cost.cost(self.least_output_limit)

    @property
    def shortest(self) -> int:
        """What it can cost with answers of a single token, for which a caller may ask."""
        return self.cost.cost(1)

    def within(self, amount: int) -> "CallBound":
        """The same with shorter answers, so that it costs no more than ``amount``, which is at least ``least``."""
        affordable = self.cost.output_limit_within(amount)
        return replace(self, output_limit=max(self.least_output_limit, min(self.output_limit, affordable)))


class CallBounds:
    """Computes bounds. What earlier messages of a conversation come to is remembered, because transcripts only grow."""

    def __init__(self, prices: PriceBook, policy: BudgetPolicy) -> None:
        self._prices = prices
        self._policy = policy
        self._said: OrderedDict[tuple[UUID, object], tuple[int, int]] = OrderedDict()
        self._families: dict[str, Allowances] = {}
        self._flat: dict[int, tuple[Price, FlatRates | None]] = {}
        """By the id of a price, which is kept with its rates so that no other gets that id."""

    def of(self, provider: str, model: str, transcript: Transcript, parameters: Parameters) -> CallBound | None:
        """The bound for a call; ``None`` when it costs nothing, or nobody knows what and that is allowed.

        Raises ``CannotBound``, ``PriceUnknown``.
        """
        price = self._prices.price(provider, model)
        if price is None:
            if self._policy.unknown_price == "allow":
                return None
            raise PriceUnknown(provider, model)
        rates = self._rates(price)
        if rates is FREE:
            return None
        family = self._family(model)
        new = transcript.messages[transcript.stored :]
        said_tokens = self._said_tokens(transcript, family)
        input_tokens = most_input_tokens(new, parameters, family, said_tokens=said_tokens)
        limit = self._output_limit(parameters)
        if rates is None:  # it depends on the request
            cost = CostBound.of(price, transcript.messages, parameters, input_tokens)
        else:
            cost = CostBound(rates, input_tokens, parameters.choices)
        return CallBound(cost, limit, min(limit, self._policy.least_output_tokens))

    def _output_limit(self, parameters: Parameters) -> int:
        if parameters.embedding is not None:
            return 0  # nothing is written
        asked = output_limit(parameters)
        return self._policy.output_tokens if asked is None else asked

    def _rates(self, price: Price) -> FlatRates | None:
        """The rates of a flat price, ``FREE`` for one that never costs anything; ``None`` for any other."""
        known = self._flat.get(id(price))
        if known is not None and known[0] is price:
            return known[1]
        rates = FREE if _is_free(price) else FlatRates.of(_flattened(price)) if is_flat(price) else None
        if len(self._flat) < _REMEMBERED:
            self._flat[id(price)] = (price, rates)
        return rates

    def _said_tokens(self, transcript: Transcript, family: Allowances) -> int:
        """The most tokens of the stored messages; only what was not counted before is looked at."""
        if transcript.stored == 0:
            return 0
        key = (transcript.conversation_id, family.images)
        count, tokens = self._said.get(key, (0, 0))
        if count > transcript.stored:  # an old copy of the conversation
            count = tokens = 0
        tokens += most_message_tokens(transcript.messages[count : transcript.stored], family)
        self._said[key] = (transcript.stored, tokens)
        self._said.move_to_end(key)
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return tokens

    def _family(self, model: str) -> Allowances:
        family = self._families.get(model)
        if family is None:
            family = replace(allowances_for(model), free_fields=self._policy.free_fields)
            if len(self._families) < _REMEMBERED:  # names come from callers
                self._families[model] = family
        return family


def _is_free(price: Price) -> bool:
    rates = (price.input, price.output, price.cache_read, price.cache_write, price.cache_write_1h)
    return price.per_request == 0 and all(
        rate is None or (rate.usd == 0 and all(tier.usd == 0 for tier in rate.tiers)) for rate in rates
    )


def _flattened(price: Price) -> Price:
    """A flat price by its dearest kind of input: any token of a prompt may come from the cache, or not."""
    cached = price.cache_read.usd if price.cache_read is not None else price.input.usd
    return replace(price, input=Rate(max(price.input.usd, cached)), cache_read=None)
