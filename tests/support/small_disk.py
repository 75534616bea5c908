"""A small disk of its own, which a test may fill, or have refuse every write."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOSPC
from pathlib import Path
from typing import Final

from deploy.local import processes
from tests.support.needs import missing

_BALLAST: Final = "ballast"
_NOBODY_WRITES_WITHIN: Final = 5.0  # seconds
_PIECE: Final = bytes(64 << 10)


class SmallDisk:
    """Mounted at *folder* for the length of a block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> int:
        """Leave no byte free; answer how many it took."""
        written = 0
        with (self.folder / _BALLAST).open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                written += ballast.write(_PIECE)
        return written

    def relieve(self) -> None:
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def is_full(self) -> bool:
        """Say whether a byte more is refused for want of room."""
        try:
            with (self.folder / "trial").open("wb", buffering=0) as trial:
                trial.write(_PIECE)
        except OSError as error:
            return error.errno == ENOSPC
        finally:
            (self.folder / "trial").unlink(missing_ok=True)
        return False

    def refuse_writes(self) -> None:
        """Be as a disk that the kernel has found errors on: it can be read, and no more."""
        if not processes.await_truth(self._is_read_only, _NOBODY_WRITES_WITHIN):
            raise TimeoutError("somebody has a file of the disk open for writing all the time")

    def take_writes(self) -> None:
        _run("mount", "-o", "remount,rw", str(self.folder))

    def _is_read_only(self) -> bool:
        """Try to: the kernel does not do it under somebody who writes."""
        with suppress(subprocess.CalledProcessError):
            _run("mount", "-o", "remount,ro", str(self.folder))
            return True
        return False


@contextmanager
def open_small_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Mount it: as root only; a test is skipped without."""
    if os.geteuid() != 0:
        missing("a disk of one's own needs root, who may mount it")
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)
