"""A back service that tells its environment; falls on SIGUSR1; may be told to drain for ever."""

import os
import signal
import sys
from types import FrameType

from tests.deploy.standins import tell


def end(_number: int, _frame: FrameType | None) -> None:
    if os.environ.get("STANDIN_BACK") == "drain for ever":
        tell("back drains")
        return
    tell("back ends")
    sys.exit(0)


def fall(_number: int, _frame: FrameType | None) -> None:
    sys.exit(7)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, fall)
    signal.signal(signal.SIGTERM, end)
    for name in sorted(os.environ):
        if name.startswith("UKETSUKE_"):
            tell(f"{name}={os.environ[name]}")
    tell(f"back is {os.getpid()}")
    while True:
        signal.pause()
