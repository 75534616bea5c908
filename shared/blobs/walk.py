"""Go through the files of a blob folder, a little at a time.

Blocking: call it in a thread. Whoever walks remembers the place to go on from, and nothing else.
"""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.contract.ids import BlobId, parse_uuid

START: Final = ""
_DIGITS: Final = frozenset("0123456789abcdef")
_LEAVES: Final = 16  # folders of one turn, unless
_ENOUGH: Final = 500  # files were found before


def old_blobs(folder: Path, place: str, older_than: timedelta) -> tuple[list[BlobId], str]:
    """List some blobs, from *place* on, that were written so long ago; and the place to go on from.

    That is the start again when the end was reached.
    """
    latest = time.time() - older_than.total_seconds()
    found: list[BlobId] = []
    for turn, leaf in enumerate(_leaves(folder, place)):
        if turn == _LEAVES or len(found) >= _ENOUGH:
            return found, leaf
        found.extend(_written_before(latest, folder / leaf))
    return found, START


def _leaves(folder: Path, place: str) -> Iterator[str]:
    """Name the folders that hold blobs, in order, from *place* on."""
    for upper in _branches(folder):
        if upper >= place[:2]:
            for lower in _branches(folder / upper):
                if (leaf := f"{upper}/{lower}") >= place:
                    yield leaf


def _branches(folder: Path) -> list[str]:
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in names if len(name) == len("ab") and _DIGITS.issuperset(name))


def _written_before(latest: float, leaf: Path) -> Iterator[BlobId]:
    try:
        entries = list(os.scandir(leaf))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        blob_id = parse_uuid(entry.name)
        if blob_id is None or not entry.is_file(follow_symlinks=False):
            continue
        try:
            written = entry.stat(follow_symlinks=False).st_mtime
        except FileNotFoundError:  # somebody else cleans up as well
            continue
        if written < latest:
            yield BlobId(blob_id)
