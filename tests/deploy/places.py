"""Folders of every kind a project may lie in, and the account that tests run under."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root changes to another user")


def ordinary_users_can_read(file: Path) -> bool:
    """Tell whether a user other than root may read *file*: not so in a project under /root."""
    if os.getuid() != 0:
        return True
    nobody = pwd.getpwnam("nobody")
    tried = ["setpriv", f"--reuid={nobody.pw_uid}", "--clear-groups", "test", "-r", str(file)]
    return subprocess.run(tried, check=False).returncode == 0


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that every user may enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="uketsuke-test-"))
    folder.chmod(0o755)
    try:
        yield folder.resolve()
    finally:
        shutil.rmtree(folder)


def give_to_nobody(folder: Path) -> None:
    """Make *folder* an ordinary user's, if there is a choice."""
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
