"""Dice for faults: each says, when asked, whether the fault happens this time."""

import random
from collections.abc import Callable

Dice = Callable[[], bool]


def never() -> bool:
    return False


def always() -> bool:
    return True


def chance(share: float, *, seed: object) -> Dice:
    """Say yes in a *share* of all cases, in an order that *seed* settles."""
    numbers = random.Random(repr(seed))
    return lambda: numbers.random() < share


def the_first(times: int) -> Dice:
    """Say yes so many *times*, and no ever after."""
    answers = iter([True] * times)
    return lambda: next(answers, False)
