"""The folder of PostgreSQL's socket: short, for a socket's path may have 107 bytes, and private.

Its mode is the lock on the door: through the socket nobody is asked for a password.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from deploy.local.processes import CannotStart

_PATH_MAX = 107 - len("/.s.PGSQL.65535.lock")


def socket_folder(state: Path) -> Path:
    """Name the socket's folder of the server whose state is in *state*."""
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
    name = f"uketsuke-pg-{os.getuid()}-{digest}"
    folder = Path(tempfile.gettempdir()).absolute() / name
    return folder if len(os.fsencode(folder)) <= _PATH_MAX else Path("/tmp") / name  # noqa: S108


def make_private(folder: Path, *, owners: set[int]) -> None:
    """Make *folder*, or refuse one that somebody else made under its name."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    is_ours = found.st_uid in owners
    if (
        not stat.S_ISDIR(found.st_mode)
        or not is_ours
        or stat.S_IMODE(found.st_mode) != stat.S_IRWXU
    ):
        raise CannotStart(f"{folder} is not a private folder of ours; remove it, or set TMPDIR")
