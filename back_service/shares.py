"""Whose knock is next: high before normal before low, but nobody starves.

Pure. Smooth weighted round robin: over any run of turns in which all wait, each gets its weight.
"""

from collections.abc import Collection, Mapping
from typing import Final

from shared.contract.jobs import Priority

WEIGHTS: Final[Mapping[str, int]] = {Priority.HIGH: 6, Priority.NORMAL: 3, Priority.LOW: 1}


class Shares:
    """Deals turns to routes by the weight of the priority in their names."""

    def __init__(self, routes: Collection[str]) -> None:
        self._weights = {route: WEIGHTS[route.rpartition(".")[2]] for route in routes}
        self._credit = dict.fromkeys(self._weights, 0)

    def next(self, waiting: Collection[str]) -> str:
        """Choose one of the routes that wait; *waiting* must not be empty."""
        total = 0
        for route in waiting:
            self._credit[route] += self._weights[route]
            total += self._weights[route]
        chosen = max(waiting, key=lambda route: self._credit[route])
        self._credit[chosen] -= total
        return chosen


def is_high(route: str) -> bool:
    return route.endswith("." + Priority.HIGH)
