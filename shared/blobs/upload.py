"""One blob on its way to the disk: temporary file, sync, rename, sync of the folders.

Blocking: every method is called in a thread, one at a time.
"""

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from errno import ENOSPC
from pathlib import Path
from typing import Final

from shared.blobs.store import key_of
from shared.contract.ids import BlobId

_INCOMING: Final = "incoming"


class DiskNearlyFull(OSError):
    """What is left of the disk belongs to others: the database, the logs, the broker."""

    def __init__(self) -> None:
        super().__init__(ENOSPC, "the disk is nearly full")


class Upload:
    """A file that becomes a blob when it is kept, and nothing when it is discarded."""

    def __init__(self, folder: Path, blob_id: BlobId, *, keep_free: float) -> None:
        self._folder, self._blob_id, self._keep_free = folder, blob_id, keep_free
        self._unkept: tuple[int, Path] | None = None
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        target, _ = self._open()
        disk = os.fstatvfs(target)
        if disk.f_bavail - len(piece) / disk.f_frsize < self._keep_free * disk.f_blocks:
            raise DiskNearlyFull
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(target, rest) :]
        self._digest.update(piece)
        self.size_bytes += len(piece)

    def keep(self) -> None:
        """Make the blob durable under its own name."""
        target, path = self._open()
        os.fsync(target)
        place = place_of(self._folder, self._blob_id)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
        self._unkept = target, place
        for folder in (place.parent, place.parent.parent, self._folder):
            sync_folder(folder)  # upper ones too: another upload may have made them just now
        self._unkept = None
        os.close(target)

    def discard(self) -> None:
        """Remove what was written but not kept. May be called at any time."""
        if self._unkept is not None:
            target, path = self._unkept
            self._unkept = None
            os.close(target)
            path.unlink(missing_ok=True)

    def _open(self) -> tuple[int, Path]:
        if self._unkept is None:
            incoming = self._folder / _INCOMING
            incoming.mkdir(exist_ok=True)
            target, name = tempfile.mkstemp(dir=incoming)
            self._unkept = target, Path(name)
        return self._unkept


def place_of(folder: Path, blob_id: BlobId) -> Path:
    return folder / key_of(blob_id)


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove_leftovers(folder: Path, *, older_than: timedelta) -> None:
    """Remove uploads that a killed process left unfinished. Younger ones may be under way."""
    oldest = time.time() - older_than.total_seconds()
    for path in (folder / _INCOMING).glob("*"):
        with suppress(FileNotFoundError):  # another process cleans up as well
            if path.stat().st_mtime < oldest:
                path.unlink()
