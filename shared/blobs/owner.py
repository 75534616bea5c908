"""Say to whom a folder of blobs belongs: one database deletes in it, and no other.

The first that asks becomes the owner. Blocking: called in a thread.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from shared.blobs.upload import sync_folder

MARK: Final = "owner"
_MOST: Final = 200  # characters that are read of whatever lies there


def owner_of(folder: Path, whoever: str) -> str:
    """Answer who owns *folder*; if nobody does yet, that is *whoever* from now on."""
    mark = folder / MARK
    with suppress(FileNotFoundError):
        return _read(mark)
    written, name = tempfile.mkstemp(prefix=MARK, dir=folder)
    try:
        os.write(written, f"{whoever}\n".encode())
        os.fsync(written)
        with suppress(FileExistsError):  # somebody else was first
            os.link(name, mark)  # whole or not at all, and never over another one
    finally:
        os.close(written)
        Path(name).unlink()
    sync_folder(folder)
    return _read(mark)


def _read(mark: Path) -> str:
    with mark.open(encoding="utf-8", errors="replace") as file:
        return file.read(_MOST).strip()
