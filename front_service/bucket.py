"""How many submits are taken: a steady rate, and a burst above it after a pause.

Pure: the time is handed in. A bucket of tokens that fills at *rate* a second up to *burst*; each
submit takes one. Source: RFC 2697, with one bucket.
"""

from math import ceil


class Bucket:
    def __init__(self, *, rate: float, burst: int, now: float) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._filled_at = self._burst, now

    def take(self, now: float) -> int:
        """Take a token and answer 0; or take none, and answer the seconds until there is one."""
        grown = self._tokens + max(0.0, now - self._filled_at) * self._rate
        self._tokens, self._filled_at = min(self._burst, grown), max(now, self._filled_at)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0
        return max(1, ceil((1.0 - self._tokens) / self._rate))
