"""How many submits are taken: a steady rate, and a burst above it after a pause.

Pure: the time is handed in. A bucket of tokens that fills at *rate* a second up to *burst*; each
submit takes one. Source: RFC 2697, with one bucket.
"""

from math import ceil, floor

from front_service.allowance import Policy, Standing


class Bucket:
    def __init__(self, *, rate: float, burst: int, now: float) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._filled_at = self._burst, now

    @property
    def burst(self) -> int:
        """How many tokens there are at the most: more can never be taken at once."""
        return int(self._burst)

    def take(self, now: float, tokens: int = 1) -> int:
        """Take *tokens* and answer 0; or none, and answer the seconds until there are as many."""
        grown = self._tokens + max(0.0, now - self._filled_at) * self._rate
        self._tokens, self._filled_at = min(self._burst, grown), max(now, self._filled_at)
        if self._tokens >= tokens:
            self._tokens -= tokens
            return 0
        return max(1, ceil((tokens - self._tokens) / self._rate))

    def standing(self, wait: float) -> Standing:
        """Say how many were left when last some were asked for, to who may come back in *wait*."""
        full, left = ceil(self._burst / self._rate), floor(self._tokens)
        empty = ceil((self._burst - self._tokens) / self._rate)
        return Standing(
            policies=f'"{Policy.FRONT}";q={self.burst};w={max(1, full)}',
            left=f'"{Policy.FRONT}";r={left};t={empty}',
            wait=wait,
        )
