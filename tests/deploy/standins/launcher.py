"""An ordinary user's launcher: opens a stack in a folder and waits for a signal.

As root it becomes nobody first, but after all imports: nobody may be unable to read this Python.
"""

import encodings.idna  # noqa: F401  what socket imports late must be had before
import os
import pwd
import signal
import sys
from pathlib import Path

from deploy.local.stack import open_stack
from deploy.local.terminal import StopAsked, Stops
from tests.deploy.standins import tell


def become_ordinary() -> None:
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)


def main(folder: str) -> None:
    Stops().listen()
    become_ordinary()
    try:
        with open_stack(Path(folder)) as stack:
            tell(f"{stack.postgres.pid} {stack.broker.pid}")
            signal.pause()
    except StopAsked:
        tell("stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
