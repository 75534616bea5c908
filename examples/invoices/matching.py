"""Find which invoices a payment pays: pure arithmetic, and a lot of it."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb
from typing import Final

_EVERY: Final = 50_000


def find_set(
    cents: Sequence[int], total: int, size: int, tried: Callable[[int], None]
) -> tuple[int, ...] | None:
    """Look for *size* of *cents* that add up to *total*; answer their places.

    *tried* hears now and then how many sets have been tried, all smaller ones included.
    """
    before = sum(comb(len(cents), smaller) for smaller in range(size))
    for count, places in enumerate(combinations(range(len(cents)), size)):
        if sum(cents[at] for at in places) == total:
            return places
        if count % _EVERY == 0:
            tried(before + count)
    return None
