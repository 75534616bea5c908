"""How often something may happen."""

from collections.abc import Callable
from time import monotonic


class Pace:
    """Allows *most* of something a second."""

    def __init__(self, most: int, now: Callable[[], float] = monotonic) -> None:
        self._most, self._now = most, now
        self._second, self._count = now(), 0

    def allows(self) -> bool:
        now = self._now()
        if now - self._second >= 1.0:
            self._second, self._count = now, 0
        self._count += 1
        return self._count <= self._most
