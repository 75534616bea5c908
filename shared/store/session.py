"""Read back what the server makes of our sessions, and say what is not as we rely on.

What is asked for at the start of a session is a wish: a pooler in between drops it, and what the
server itself risks nobody is told. A start needs no database, so this is looked at as soon as one
answers, and now and then, since a failover may bring another one.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from shared.contract.errors import Unavailable
from shared.store.pool import LIMITS, Pool, Rejected
from shared.store.sql import statement

log: Final = structlog.get_logger()

_AGAIN: Final = 5.0  # seconds, where nobody answered
_NOW_AND_THEN: Final = 300.0
_UNITS: Final = {"ms": 1, "s": 1_000}
_RISKS: Final[Mapping[str, str]] = {
    "fsync": "a power cut or a crash of the machine may destroy the database",
    "full_page_writes": "a power cut or a crash of the machine may destroy the database",
    "synchronous_commit": "a 202 does not wait for the disk: a crash may lose accepted jobs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the server says: settings in its own units, and *seats*, the sessions it takes of us."""

    settings: Mapping[str, str]
    is_local: bool
    seats: int


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is not as we rely on; *is_grave* where a promise may be broken by it."""

    setting: str
    found: str
    why: str
    is_grave: bool = False


def complaints(session: Session, *, most_sessions: int) -> Sequence[Complaint]:
    """Judge a durable session of a process that opens *most_sessions*."""
    found = session.settings
    risks = [
        Complaint(name, "off", why, is_grave=True)
        for name, why in _RISKS.items()
        if found.get(name) == "off"
    ]
    lost = [
        Complaint(name, found.get(name, "unknown"), f"we asked for {wish}: does a pooler drop it?")
        for name, wish in LIMITS.items()
        if found.get(name) != _in_base_units(wish)
        and not (session.is_local and name == "tcp_user_timeout")  # which has no meaning there
    ]
    few = Complaint(
        "max_connections",
        str(session.seats),
        f"this process alone opens up to {most_sessions}; all processes together need more",
    )
    return [*risks, *lost, *([few] if session.seats < most_sessions else [])]


def _in_base_units(wish: str) -> str:
    digits = wish.rstrip("ms")
    return str(int(digits) * _UNITS[wish[len(digits) :]]) if digits.isdigit() else wish


class SessionCheck:
    """A service that complains once of each thing, and counts what is the case now."""

    name = "session check"

    def __init__(self, pool: Pool, *, most_sessions: int) -> None:
        self._pool, self._most_sessions = pool, most_sessions
        self._told: set[Complaint] = set()
        self.count = 0

    async def run(self) -> None:
        while True:
            has_answer = await self.look()
            await asyncio.sleep(_NOW_AND_THEN if has_answer else _AGAIN)

    async def look(self) -> bool:
        """Ask and tell; answer whether there was an answer."""
        try:
            found = complaints(await self._read(), most_sessions=self._most_sessions)
        except Unavailable:
            return False  # whoever needs the database says so
        except Rejected as error:  # rights that we do not have, or no PostgreSQL
            log.warning("limits of the database not read back", why=str(error))
            return True
        for complaint in found:
            if complaint not in self._told:
                _tell(complaint)
        self._told, self.count = set(found), len(found)
        return True

    async def _read(self) -> Session:
        row = await self._pool.fetchrow(statement("session"), list(LIMITS))
        if row is None:
            raise Rejected("no answer to a question that has one")
        return Session(
            settings=json.loads(row["settings"]), is_local=row["is_local"], seats=row["seats"]
        )


def _tell(complaint: Complaint) -> None:
    say = log.error if complaint.is_grave else log.warning
    event = "database may break promises" if complaint.is_grave else "database not as we rely on"
    say(event, setting=complaint.setting, found=complaint.found, why=complaint.why)
