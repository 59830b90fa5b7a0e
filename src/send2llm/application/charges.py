"""What an attempt costs, and how that is known."""

from dataclasses import dataclass, replace
from decimal import Decimal

from send2llm.application.budgets.purse import CallHold
from send2llm.application.open_call import OpenCall
from send2llm.application.ports import PriceBook
from send2llm.domain.completion import Completion, Usage
from send2llm.domain.errors import ProviderError
from send2llm.domain.estimation import estimate_message_tokens
from send2llm.domain.money import ZERO, round_up

REPORTED_PRICE = "reported by the provider"


@dataclass(frozen=True, slots=True)
class Charge:
    """US dollars (``None``: nobody knows), by which prices, for how many tokens, and what of that is ``assumed``.

    ``estimated``: the provider reported no usage, so that ``usage`` is an estimate.
    """

    cost_usd: Decimal | None
    price_version: str | None = None
    usage: Usage | None = None
    estimated: bool = False
    assumed: str = ""


NOTHING_KNOWN = Charge(None)


class Charges:
    """The rules by which attempts are charged, one for each way in which they end.

    Where budgets hold money for an attempt and nobody knows what it cost, all of that counts: the provider may have
    made more than came, and a budget that holds must not trust an estimate.
    """

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices

    def for_answer(self, call: OpenCall, completion: Completion) -> Charge:
        """By the provider's own word, else by its usage at our price, else all that budgets hold, else an estimate."""
        usage, estimated = completion.usage, completion.usage is None
        if usage is None:
            answers = (answer.message for answer in completion.answers)
            usage = Usage(estimate_message_tokens(call.messages), estimate_message_tokens(answers))
        if completion.reported_cost_usd is not None:
            return Charge(round_up(completion.reported_cost_usd), REPORTED_PRICE, usage, estimated)
        if call.hold is not None and estimated:
            return replace(_held(call.hold, call), usage=usage, estimated=True)
        price = self._prices.price(call.candidate.provider, call.candidate.model)
        if price is None:
            return Charge(None, None, usage, estimated)
        return Charge(price.cost(usage), price.version, usage, estimated)

    def for_interruption(self, call: OpenCall, partial: Completion | None) -> Charge:
        """What had come by then, as far as it is known; before the first token nothing is, and nothing is assumed."""
        charge = Charge(None, assumed="no answer had come; no cost assumed")
        if partial is not None:
            charge = self.for_answer(call, partial)
            if charge.estimated:
                charge = replace(charge, assumed="tokens estimated from the prompt and the part that came")
        if call.hold is None:
            return charge
        if not call.asking:
            return Charge(ZERO, assumed="the provider was not asked")
        return replace(_held(call.hold, call), usage=charge.usage, estimated=charge.estimated)

    def for_failure(self, call: OpenCall, error: ProviderError) -> Charge:
        """Nothing, unless the provider may have worked for it and a budget has to know."""
        if call.hold is None or not error.may_be_charged:
            return NOTHING_KNOWN
        return _held(call.hold, call)


def _held(hold: CallHold, call: OpenCall) -> Charge:
    return Charge(hold.amount_usd, assumed=f"{call.candidate.provider} may have charged all that was held for it")
