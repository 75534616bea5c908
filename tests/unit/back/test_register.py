"""A worker says that it lives, and takes its leave."""

import asyncio
from collections.abc import Sequence
from typing import cast

from back_service.register import Presence
from shared.contract.errors import Unavailable
from shared.store.operating import Register


class Book:
    """A register that notes what it is told; *is_away* makes it fail."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.told = asyncio.Event()
        self.says: dict[str, Sequence[str]] = {}
        self.has_left = False

    async def here(self, **says: Sequence[str]) -> None:
        self.told.set()
        if self.is_away:
            raise Unavailable
        self.says = says

    async def leave(self) -> None:
        if self.is_away:
            raise Unavailable
        self.has_left = True


async def live(book: Book) -> None:
    """Let a worker live until it has been heard, and stop it."""
    presence = Presence(
        cast("Register", book), pools=("b", "a"), types={"x.y": 1}, lacking=("x.y",)
    )
    living = asyncio.create_task(presence.run())
    async with asyncio.timeout(5):
        await book.told.wait()
    living.cancel()
    await asyncio.wait([living])
    assert living.cancelled()


async def test_a_worker_says_what_it_can_run_and_leaves_when_it_stops() -> None:
    """Nobody has to wait until it is taken for dead."""
    book = Book()

    await live(book)

    assert book.says == {"pools": ["a", "b"], "types": ["x.y"], "lacking": ["x.y"]}
    assert book.has_left


async def test_a_database_that_is_away_stops_no_worker() -> None:
    """It is told at the next turn; what is not told at the end, silence tells."""
    await live(Book(is_away=True))
