"""What tokens cost under a version of prices, solved from the calls that were charged by it.

Events name the version of a price and not its numbers, and a catalogue's version stands for thousands of prices. But a
cost is a sum: tokens of each kind times what one of them costs. So calls with different mixtures of tokens are linear
equations, from which the prices follow exactly; further calls confirm them, or show that there was no one such price.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from send2llm.application.replay.calls import Call
from send2llm.domain.completion import Usage
from send2llm.domain.pico_dollars import dollars, pico_dollars

NOT_OF_A_LIST = frozenset({"", "reported by the provider"})
"""What stands in place of a version where the cost came from no list of prices."""

Tokens = tuple[int, int, int, int, int]
"""Of each kind that has a price: fresh input, read from a cache, written to one, written for an hour; output."""


def tokens_of(usage: Usage) -> Tokens:
    """The tokens of a usage by what they cost."""
    read, written, hour = (
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.cache_write_1h_input_tokens,
    )
    return max(0, usage.input_tokens - read - written), read, written - hour, hour, usage.output_tokens


@dataclass(slots=True)
class _Equations:
    """Those of one model, solved as they come (Gauss-Jordan), in exact fractions."""

    rows: dict[int, list[Fraction]] = field(default_factory=dict)
    """By the kind that each is solved for; the last number is the cost."""
    known: dict[int, Fraction | int] = field(default_factory=dict)
    """Pico-dollars for a token of each kind that is known; whole numbers are plain ones, which are faster."""
    mixtures: set[Tokens] = field(default_factory=set)
    confirmed: int = 0
    contradicted: bool = False

    def learn(self, tokens: Tokens, cost: Decimal) -> None:
        if self.contradicted:
            return
        told = self._cost(tokens)
        if told is None:
            self._add([*map(Fraction, tokens), Fraction(pico_dollars(cost))])
            self.mixtures.add(tokens)
        elif told != cost:
            self.contradicted = True
        elif tokens not in self.mixtures:
            self.confirmed += 1

    def cost(self, tokens: Tokens) -> Decimal | None:
        """``None`` when the price of a kind is not known, or nothing has confirmed that there is one price."""
        certain = self.confirmed and not self.contradicted and all(pico >= 0 for pico in self.known.values())
        return self._cost(tokens) if certain else None

    def _cost(self, tokens: Tokens) -> Decimal | None:
        total: Fraction | int = 0
        for kind, number in enumerate(tokens):
            if number:
                pico = self.known.get(kind)
                if pico is None:
                    return None
                total += number * pico
        return dollars(-(-total.numerator // total.denominator))

    def _add(self, row: list[Fraction]) -> None:
        for kind, other in self.rows.items():
            row = _without(row, other, kind)
        solved = next((kind for kind, factor in enumerate(row[:-1]) if factor), None)
        if solved is None:
            self.contradicted = self.contradicted or row[-1] != 0
            return
        row = [number / row[solved] for number in row]
        self.rows = {kind: _without(other, row, solved) for kind, other in self.rows.items()}
        self.rows[solved] = row
        alone = {kind: one[-1] for kind, one in self.rows.items() if sum(map(bool, one[:-1])) == 1}
        self.known = {kind: int(pico) if pico.denominator == 1 else pico for kind, pico in alone.items()}


def _without(row: list[Fraction], other: list[Fraction], kind: int) -> list[Fraction]:
    """The row less so much of another one that nothing of a kind is left."""
    return [mine - row[kind] * its for mine, its in zip(row, other, strict=True)] if row[kind] else row


class RecordedPrices:
    """The prices of a ``version`` as far as recorded calls tell them; ``versions`` are all that they name."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.versions: set[str] = set()
        self._models: dict[tuple[str, str], _Equations] = {}

    @classmethod
    def of(cls, calls: Iterable[Call], version: str) -> "RecordedPrices":
        """Learn from calls whose cost and usage are both known, and whose last attempt was charged by the version."""
        prices = cls(version)
        for call in calls:
            if call.price_version not in NOT_OF_A_LIST:
                prices.versions.add(call.price_version)
                if call.price_version == version and call.usage is not None and not call.assumed:
                    prices._learn(call, call.usage)
        return prices

    def cost(self, provider: str, model: str, usage: Usage) -> Decimal | None:
        """What a usage cost under the version, ``None`` when it is not known."""
        equations = self._models.get((provider, model))
        return None if equations is None else equations.cost(tokens_of(usage))

    def contradictions(self) -> Sequence[str]:
        """The models whose calls were not charged by one price for each kind of token."""
        return sorted(f"{provider}/{model}" for (provider, model), one in self._models.items() if one.contradicted)

    def _learn(self, call: Call, usage: Usage) -> None:
        if call.cost_usd is not None and call.cost_usd >= call.failed_attempts_usd:
            equations = self._models.setdefault((call.provider, call.model), _Equations())
            equations.learn(tokens_of(usage), call.cost_usd - call.failed_attempts_usd)
