"""When the same provider is asked again, and after what wait."""

from dataclasses import dataclass

from send2llm.application.ports import Randomness
from send2llm.domain.errors import ProviderError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, unless the provider says how long to wait.

    A provider is asked at most ``attempts`` times in one call. Waits are seconds; the n-th is drawn from
    0 to ``first_wait`` x 2^(n-1), at most ``longest_wait``. A provider that asks for more than ``longest_wait``
    (``Retry-After``) is not waited for: the next candidate is tried, or the caller is told.
    """

    attempts: int = 3
    first_wait: float = 0.5
    longest_wait: float = 20.0

    def wait(self, error: ProviderError, attempt: int, randomness: Randomness) -> float | None:
        """Seconds to wait before the next attempt after the ``attempt``-th failed; ``None``: do not try again."""
        if not error.retryable or attempt >= self.attempts:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest_wait else None
        return min(self.longest_wait, self.first_wait * float(2 ** (attempt - 1))) * randomness.random()
