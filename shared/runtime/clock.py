"""The one place that asks the machine for the time or for chance.

What several machines must agree on is asked of PostgreSQL instead.
"""

import os
import time
from typing import Final, Protocol
from uuid import UUID

from shared.contract.ids import BlobId, JobId, uuid7

_LOT: Final = 4_096


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds that only ever go forward."""


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()


class Entropy:
    """Random bytes of the system, drawn in lots: a call to the kernel for each id is dear."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Draw anew: after a fork two processes must not go on with the same lot."""
        self._lot, self._at = b"", _LOT

    def take(self, size: int) -> bytes:
        """Give *size* bytes, at most a lot, that are given to nobody else."""
        if self._at + size > len(self._lot):
            self._lot, self._at = os.urandom(_LOT), 0
        self._at += size
        return self._lot[self._at - size : self._at]


_entropy = Entropy()
os.register_at_fork(after_in_child=_entropy.forget)


def random_bytes(size: int) -> bytes:
    return _entropy.take(size)


class Ids:
    """Makes ids that grow within this process, also those of one millisecond.

    Source: RFC 9562, section 6.2, "Monotonic Random": else an id is one more than the last.
    """

    def __init__(self) -> None:
        self._last = 0

    def fresh(self) -> UUID:
        made = uuid7(time.time_ns() // 1_000_000, _entropy.take(10)).int
        self._last = made if made > self._last else self._last + 1
        return UUID(int=self._last)


_ids = Ids()


def fresh_job_id() -> JobId:
    return JobId(_ids.fresh())


def fresh_blob_id() -> BlobId:
    return BlobId(_ids.fresh())
