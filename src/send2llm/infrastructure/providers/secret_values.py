"""Which values of a provider's configuration must never be shown."""

import re
from collections.abc import Mapping, Sequence

_SECRET_HEADER = re.compile(r"auth|key|token|secret", re.IGNORECASE)


def secret_values(api_key: str | None, headers: Mapping[str, str]) -> Sequence[str]:
    """The key, and the values of headers whose names sound secret."""
    return [api_key or "", *(value for name, value in headers.items() if _SECRET_HEADER.search(name))]
