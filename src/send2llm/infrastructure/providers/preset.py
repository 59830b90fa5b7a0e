"""What is known of a provider before anybody configures it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a provider.

    ``key_variable`` is the environment variable that its own SDK reads; a provider whose variable is set is there
    without being configured, unless it is not ``automatic``: some variables are set for quite other purposes.
    ``models_begin_with`` are beginnings of the names of its own models, which may then be called without the
    provider's name before them. ``price_provider`` is its id in the price catalogue where neither its name nor its
    address tells. ``leave_out`` are fields that it refuses though they do no harm elsewhere. ``free``: it runs on
    one's own machine. Without a ``base_url`` every customer has an address of his own.
    """

    format: str
    base_url: str = ""
    key_variable: str | None = None
    documentation: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    models_begin_with: tuple[str, ...] = ()
    price_provider: str | None = None
    leave_out: tuple[str, ...] = ()
    automatic: bool = True
    free: bool = False
