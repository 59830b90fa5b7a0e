"""What a budget is about: which calls it pays for."""

from dataclasses import dataclass
from urllib.parse import quote

from send2llm.domain.errors import InvalidRequest

LONGEST_NAME = 200
"""Characters of a name in a scope."""


@dataclass(frozen=True, slots=True)
class BudgetedCall:
    """What budgets see of a call: whom it goes to, and for whom. ``actor`` names the key that it came with."""

    provider: str
    model: str
    tenant: str
    actor: str


@dataclass(frozen=True, slots=True)
class BudgetScope:
    """The calls that a budget pays for: those that have all that the scope names.

    It names nothing (the whole service), a ``provider``, or a provider and one of ``model``, ``tenant`` and
    ``actor``. Names are compared letter by letter: a budget for ``gpt-4o`` does not pay for
    ``gpt-4o-2024-08-06``; put one on the provider to be safe from other names of the same model.
    """

    provider: str | None = None
    model: str | None = None
    tenant: str | None = None
    actor: str | None = None

    def matches(self, call: BudgetedCall) -> bool:
        """Whether the budget pays for ``call``."""
        return self in scopes_of(call)

    def check(self) -> None:
        """Raise ``InvalidRequest`` unless it is one of the scopes that a call can fall into."""
        named = [name for name, value in self._parts() if name != "provider"]
        if named and self.provider is None:
            raise InvalidRequest(f"A budget for a {named[0]} needs a provider as well.", param="scope.provider")
        if len(named) > 1:
            raise InvalidRequest(
                f"A budget is for a provider and one of model, tenant and actor, not for {' and '.join(named)}; "
                "define a budget for each: a call must fit them all.",
                param=f"scope.{named[1]}",
            )
        for name, value in self._parts():
            if not value:
                raise InvalidRequest(f"The {name} of a budget has no name; leave it out.", param=f"scope.{name}")
            if not _is_name(value) or (name == "provider" and "/" in value):
                slash = ", and no slash" if name == "provider" else ""
                raise InvalidRequest(
                    f"{value[:40]!r} cannot be a {name}: a name has at most {LONGEST_NAME} characters, none of them "
                    f"blank or invisible{slash}.",
                    param=f"scope.{name}",
                )

    @property
    def key(self) -> str:
        """The scope as plain ASCII text, the same for ever: ``service`` or ``provider=openai,model=gpt-4o``."""
        # Model names come from callers and may hold anything, commas and lone surrogates included.
        parts = (f"{name}={quote(value, safe='/:', errors='surrogatepass')}" for name, value in self._parts())
        return ",".join(parts) or "service"

    def _parts(self) -> list[tuple[str, str]]:
        parts = (("provider", self.provider), ("model", self.model), ("tenant", self.tenant), ("actor", self.actor))
        return [(name, value) for name, value in parts if value is not None]


WHOLE_SERVICE = BudgetScope()
"""Every call."""


def scopes_of(call: BudgetedCall) -> tuple[BudgetScope, ...]:
    """All the scopes that ``call`` falls into, always in the same order, so that budgets can be looked up by scope."""
    return (
        WHOLE_SERVICE,
        BudgetScope(call.provider),
        BudgetScope(call.provider, model=call.model),
        BudgetScope(call.provider, tenant=call.tenant),
        BudgetScope(call.provider, actor=call.actor),
    )


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and text.isprintable() and " " not in text
