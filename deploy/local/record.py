"""Who runs a local stack, and what runs where: ``lock`` and ``stack.json`` of its folder.

The lock is the truth about *whether* a launcher lives: the kernel frees it with the process.
The record says *what* it runs; it holds passwords, so only its owner may read it. Standard
library only: ``make stop`` must work without the virtual environment.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Say = Callable[[str], None]
_DEPTHS = ("*", "*/*", "*/*/*")
ROOT = Path(__file__).resolve().parents[2]


def local_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Answer where everything local lives: ``.local`` of the project, unless told otherwise."""
    return Path(environ.get("UKETSUKE_LOCAL_DIR") or ROOT / ".local").absolute().resolve()


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Hold the lock of *folder* for a while; the answer is whether we got it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        yield _take(lock.fileno())


def _take(lock: int) -> bool:
    """Try for a moment: whoever only looks whether the lock is held, holds it while looking."""
    for _ in range(5):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False


def is_held(folder: Path) -> bool:
    """Tell whether a launcher lives in *folder*; makes nothing."""
    if not (folder / "lock").exists():
        return False
    with hold(folder) as got_it:
        return not got_it


def read(folder: Path) -> dict[str, Any]:
    """Read what was last written of *folder*; empty when there is nothing to be read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((folder / "stack.json").read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Replace the record of *folder* at one stroke, readable by its owner alone."""
    fresh = folder / f"stack.json.{secrets.token_hex(4)}"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(facts, file, indent=2, ensure_ascii=False)
    fresh.replace(folder / "stack.json")


def foreign(folder: Path) -> Path | None:
    """Answer what in *folder* belongs to another user, ourselves not being root; ``None``: nothing.

    Looks as deep as our own locks and records lie.
    """
    me = os.getuid()
    if me == 0:
        return None
    deep = (folder, *(found for depth in _DEPTHS for found in folder.glob(depth)))
    return next((path for path in deep if path.exists() and path.lstat().st_uid != me), None)
