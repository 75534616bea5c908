"""Who holds a stream open, so that it can be ended when its caller may not read any more."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from front_service.identity import Principal


class Seat:
    """One open stream's: *on_end* is called once, if its caller is sent away."""

    def __init__(self) -> None:
        self._callback: Callable[[], None] | None = None
        self.has_ended = False

    def on_end(self, callback: Callable[[], None]) -> None:
        """Say what is to be done then; at once, if that time has passed already."""
        self._callback = callback
        if self.has_ended:
            callback()

    def end(self) -> None:
        if not self.has_ended:
            self.has_ended = True
            if self._callback is not None:
                self._callback()


class Attendance:
    def __init__(self) -> None:
        self._by_key: dict[UUID, set[Seat]] = {}

    @contextmanager
    def seat(self, principal: Principal) -> Iterator[Seat]:
        """Have a seat while inside; it ends with the key or the token that let its caller in."""
        seat = Seat()
        timer = _ends_at(seat, principal.until)
        seats = self._by_key.setdefault(principal.key, set()) if principal.key else set()
        seats.add(seat)
        try:
            yield seat
        finally:
            if timer is not None:
                timer.cancel()
            seats.discard(seat)
            if principal.key and not seats and self._by_key.get(principal.key) is seats:
                del self._by_key[principal.key]

    def is_present(self, key: UUID) -> bool:
        return key in self._by_key

    def end(self, key: UUID) -> None:
        """End all streams of a key that has ended."""
        for seat in tuple(self._by_key.get(key, ())):
            seat.end()


def _ends_at(seat: Seat, until: float | None) -> asyncio.TimerHandle | None:
    """Let the seat end at that moment of the loop's clock."""
    return None if until is None else asyncio.get_running_loop().call_at(until, seat.end)
