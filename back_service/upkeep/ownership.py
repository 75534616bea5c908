"""Know whether the folder of blobs belongs to our database: only then may anything in it go.

Refuses in favour of the files: where two databases meet in one folder, each would take the files
of the other for strays. What is refused is refused until somebody has decided.
"""

from typing import Final, Protocol

import structlog

log: Final = structlog.get_logger()

_REMEDY: Final = (
    "Nothing is deleted there. Give each database a folder of its own, or, if this database has"
    " taken the place of the other, remove the file 'owner' in the folder."
)


class NamesItself(Protocol):
    async def which(self) -> str:
        """As ``UpkeepStore.which``."""


class HasOwner(Protocol):
    async def owner(self, whoever: str) -> str:
        """As ``BlobStore.owner``."""


class Ownership:
    """Asks both sides, each time: a database may be replaced while we run."""

    def __init__(self, store: NamesItself, blobs: HasOwner) -> None:
        self._store, self._blobs = store, blobs
        self.is_contested = False

    async def is_ours(self) -> bool:
        """Answer whether files may be deleted; raises ``Unavailable`` when nobody can say."""
        us = await self._store.which()
        owner = await self._blobs.owner(us)
        is_contested = owner != us
        if is_contested and not self.is_contested:
            log.error(
                "blob folder belongs to another database", owner=owner, ours=us, remedy=_REMEDY
            )
        if self.is_contested and not is_contested:
            log.info("blob folder is ours again", ours=us)
        self.is_contested = is_contested
        return not is_contested
