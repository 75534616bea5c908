"""What may go wrong with the broker, as one small tree, and how the library's faults enter it.

BrokerTrouble
├── Unconfirmed          (publisher) unknown, or refused
│   └── Unpublishable    (publisher) never sent, and never will be as it is
└── Astray               (source) a queue is not served to us
"""

import asyncio
from types import TracebackType
from typing import Final

from aio_pika.exceptions import CONNECTION_EXCEPTIONS


class BrokerTrouble(Exception):
    """Something between us and the broker failed; what was asked may or may not have happened."""


class broker_faults:  # noqa: N801  used as a function is; a generator would cost five times as much
    """Turn whatever the library throws into *become*; a cancel that is really ours passes.

    The library ends its waits with a bare ``CancelledError``, which would silently kill the
    task that waited, and rejects some with a bare ``Exception``. A cancel of ours that meets
    the end of a channel it swallows, and raises the channel's error instead.
    """

    __slots__ = ("_become", "_before", "_task")

    def __init__(self, become: type[BrokerTrouble]) -> None:
        self._become = become

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0  # one that cleans up has some

    def __exit__(
        self, _type: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._judge(error)

    def _judge(self, error: BaseException) -> None:
        """Raise what *error* really is, or return to let it pass."""
        is_ours = self._task is None or self._task.cancelling() > self._before
        if isinstance(error, asyncio.CancelledError):
            if not is_ours:
                raise self._become("torn down by the library") from None
        elif isinstance(error, _FAULTS) or type(error) is Exception:
            if is_ours:
                raise asyncio.CancelledError from error
            if not isinstance(error, BrokerTrouble):
                raise self._become(repr(error)) from error


_FAULTS: Final = (*CONNECTION_EXCEPTIONS, BrokerTrouble)
