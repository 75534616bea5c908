"""The way in: ``python3 deploy/local/bootstrap.py run|demo|test|…``, from nothing.

Needs the standard library only, and parses on every Python 3 since 3.6, so that an old one can
say what it lacks instead of a syntax error. The commands themselves are in ``commands``.
"""

import os
import shutil
import sys
from pathlib import Path

OLDEST = (3, 11)


def seek_newer_python() -> None:
    """Go on under a newer Python of this machine, or say in one line that there is none."""
    for minor in (14, 13, 12, 11):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606  a program of that name, in PATH
    have = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(f"Python 3.11 or newer is needed; this is {have}.")


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        seek_newer_python()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from deploy.local.commands import main

    sys.exit(main(sys.argv[1:]))
