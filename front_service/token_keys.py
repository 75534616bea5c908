"""With which keys read tokens are signed: those of the settings, else one that is made once.

Replicas must share them. The one that is made lies in the folder of blobs, which all replicas
share as well; whoever can read it there can read every file anyway. A bucket has no such place:
there the settings must name one.
"""

import os
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Final

import structlog

from shared.runtime.settings import FrontSettings

log: Final = structlog.get_logger()

_NAME: Final = "read-tokens.key"
_SIZE: Final = 32


def token_keys(settings: FrontSettings) -> list[bytes]:
    """Give the keys, the one to sign with first."""
    if settings.token_keys:
        return [key.get_secret_value().encode() for key in settings.token_keys]
    if settings.blob_url is not None:
        log.warning("read tokens are good for this process only", why="no key is set")
        return [token_bytes(_SIZE)]
    try:
        return [_kept(settings.blob_dir)]
    except OSError as error:
        log.warning("read tokens are good for this process only", why=str(error))
        return [token_bytes(_SIZE)]


def _kept(folder: Path) -> bytes:
    """Read the key of *folder*, or leave one there: the first of several who try wins."""
    place = folder / _NAME
    if not place.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{_NAME}.{token_hex(4)}"
        line = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(line, "wb") as file:
                file.write(token_bytes(_SIZE))
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, place)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = place.read_bytes()
    if len(key) != _SIZE:
        raise OSError(f"{place} is no key: remove it, and a new one is made")
    return key
