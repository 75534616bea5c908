"""A Chromium for the tests that look at pages.

Standard library only. Unlike the broker it cannot be unpacked to a folder of ours: it needs half
of a desktop's libraries. So it is installed, but only where a machine is there for nothing else:
in CI, as root. At a desk the tests that need it are skipped, and say how to have it.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping

from deploy.local.record import Say

HOW = "There is no Chromium. On Debian: `apt-get install chromium`."
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable")
_INSTALL = ("apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium")


def find_browser(environ: Mapping[str, str] = os.environ) -> str | None:
    """Name the program; ``None`` if there is none."""
    path = environ.get("PATH")
    return next((found for name in _NAMES if (found := shutil.which(name, path=path))), None)


def ensure_browser(say: Say, environ: Mapping[str, str] = os.environ, *, uid: int) -> None:
    """Install Chromium where that is nobody's loss; what fails is told, and tests will say so."""
    apt = shutil.which("apt-get", path=environ.get("PATH"))
    if find_browser(environ) or not environ.get("CI") or uid != 0 or apt is None:
        return
    say("installing Chromium, about 100 MB, for the tests that look at pages …")
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("apt-get", "update", "-q"), _INSTALL):
        done = subprocess.run(
            [apt, *words[1:]], check=False, capture_output=True, env=quiet, text=True
        )
        if done.returncode:
            told = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
            say(f"apt-get {words[1]} failed: {told[-1]}")
