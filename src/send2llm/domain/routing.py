"""Which provider and model shall answer, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from send2llm.domain.errors import UnknownModel


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider and its model that could answer, and why it stands where it stands."""

    provider: str
    model: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The candidates in the order in which they are tried, and the strategy that ranked them."""

    strategy: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class PaidBy:
    """The period of a budget that pays for an attempt."""

    budget_id: UUID
    period_key: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One question to one provider: its ``number`` in the call, from 1, and what each of the budgets set aside."""

    number: int
    provider: str
    model: str
    hold_usd: Decimal | None = None
    paid_by: tuple[PaidBy, ...] = ()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A candidate that was not asked, and why: ``error`` is the code from the error tree."""

    provider: str
    model: str
    error: str
    detail: str


class ModelNames:
    """What callers may call a model, and the candidates behind each name.

    - ``provider/model`` names both;
    - a route is an alias with ranked candidates, tried in that order;
    - a bare name belongs to the provider that lists it, else to the one provider whose models begin like it
      (``beginnings``), else to the ``default`` provider.

    Providers in ``closed`` have just the models that they list; at the others any name may be tried.
    """

    def __init__(
        self,
        providers: Mapping[str, Sequence[str]],
        routes: Mapping[str, Sequence[str]],
        default: str | None = None,
        closed: Collection[str] = (),
        beginnings: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._providers = providers
        self._routes = routes
        self._closed = closed
        self._beginnings = {name: tuple(these) for name, these in (beginnings or {}).items() if these}
        self._default = default or (next(iter(providers)) if len(providers) == 1 else None)

    def decide(self, name: str) -> Decision:
        """Rank the candidates for ``name``; raises ``UnknownModel``."""
        if name in self._routes:
            ranked = [
                self._single(target, f"number {n} of the route {name}")
                for n, target in enumerate(self._routes[name], 1)
            ]
            return Decision("route", tuple(ranked))
        return Decision("named", (self._single(name, "named by the caller"),))

    def _single(self, name: str, why: str) -> Candidate:
        provider, slash, model = name.partition("/")
        if slash and model and self._may_have(provider, model):
            return Candidate(provider, model, why)
        for provider, models in self._providers.items():
            if name in models:
                return Candidate(provider, name, f"{why}, listed by {provider}")
        own = [provider for provider, begin in self._beginnings.items() if name.startswith(begin)]
        if len(own) == 1 and self._may_have(own[0], name):
            return Candidate(own[0], name, f"{why}, named like the models of {own[0]}")
        if self._default is not None and name and self._may_have(self._default, name):
            return Candidate(self._default, name, f"{why}, at the default provider")
        raise UnknownModel(name, self._hint())

    def _may_have(self, provider: str, model: str) -> bool:
        listed = self._providers.get(provider)
        return listed is not None and (provider not in self._closed or model in listed)

    def _hint(self) -> str:
        if not self._providers:
            return "No provider is configured: set OPENAI_API_KEY or write send2llm.toml."
        names = ", ".join(self._providers)
        return f"Use provider/model with one of the providers {names}, or a route; GET /v1/models lists them."
