"""Run a service whose wall clock is wrong, and jumps: ``python -m tests.support.skewed``.

``UKETSUKE_TEST_SKEWED`` names the service, ``UKETSUKE_TEST_SKEW`` says by how many seconds it is
wrong; SIGUSR2 makes it jump by ``UKETSUKE_TEST_STEP`` more. The monotonic clock is left alone, as
no administrator can change it.
"""

import os
import runpy
import signal
import sys
import time
from datetime import datetime, timedelta, tzinfo
from importlib import import_module
from typing import Final, Self

_true_time: Final = time.time
_true_ns: Final = time.time_ns
_ASKS: Final = {
    "back_service": ("shared.runtime.logs",),
    "front_service": ("shared.runtime.logs", "front_service.api.jobs", "front_service.lookup"),
}
"""The modules of each service that ask ``datetime`` what time it is."""


class Skew:
    """How far the clock is off, in seconds."""

    def __init__(self, seconds: float, step: float) -> None:
        self.seconds, self._step = seconds, step

    def jump(self, *_: object) -> None:
        self.seconds += self._step


def install(skew: Skew) -> None:
    """Have everything in this process that asks for the time be told the wrong one."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=skew.seconds)

    time.time = lambda: _true_time() + skew.seconds
    time.time_ns = lambda: _true_ns() + int(skew.seconds * 1e9)
    for name in _ASKS[os.environ["UKETSUKE_TEST_SKEWED"]]:
        module = import_module(name)
        assert module.datetime is datetime, name
        setattr(module, "datetime", Skewed)  # noqa: B010  it is no name that the module offers


if __name__ == "__main__":
    chosen = Skew(float(os.environ["UKETSUKE_TEST_SKEW"]), float(os.environ["UKETSUKE_TEST_STEP"]))
    install(chosen)
    signal.signal(signal.SIGUSR2, chosen.jump)
    sys.argv = [os.environ["UKETSUKE_TEST_SKEWED"]]
    runpy.run_module(os.environ["UKETSUKE_TEST_SKEWED"], run_name="__main__")
