"""Fields that the operator wants left out for a provider which cannot take them."""

from collections.abc import Collection
from dataclasses import MISSING, fields, replace

from send2llm.application.ports import ProviderCall
from send2llm.domain.completion import Parameters

_DEFAULTS = {
    field.name: field.default for field in fields(Parameters) if field.default is not MISSING and field.name != "format"
}


def leave_out(call: ProviderCall, names: Collection[str]) -> ProviderCall:
    """The call without these fields, whether Send2LLM knows them (``seed``) or only passes them on (``logprobs``)."""
    parameters = call.parameters
    known = {name: _DEFAULTS[name] for name in names if name in _DEFAULTS}
    extras = {name: value for name, value in parameters.extras.items() if name not in names}
    return replace(call, parameters=replace(parameters, extras=extras, **known))
