"""What a replica believes of API keys, and for how long."""

from uuid import UUID

import pytest

from front_service.keyring import FRESH, KeyRing
from shared.contract.access import digest_of
from shared.contract.errors import Unavailable
from tests.front.memory import MemoryKeys
from tests.support.clock import ManualClock


def digest(shown: str) -> bytes:
    found = digest_of(shown)
    assert found is not None
    return found


async def test_a_known_key_costs_no_question() -> None:
    """Not each request: one look every two seconds serves them all."""
    rows = MemoryKeys()
    ring, shown = KeyRing(rows, ManualClock()), rows.make("acme")
    await ring.find(digest(shown))

    asked = rows.questions
    for _ in range(1_000):
        assert await ring.find(digest(shown)) is not None

    assert rows.questions == asked


async def test_a_revoked_key_is_felt_with_the_next_look() -> None:
    """And whoever it let in is sent away."""
    ended: list[UUID] = []
    rows = MemoryKeys()
    ring, shown = KeyRing(rows, ManualClock(), on_end=ended.append), rows.make("acme")
    key = await ring.find(digest(shown))
    assert key is not None

    rows.end(shown)
    await ring.refresh()

    assert await ring.find(digest(shown)) is None
    assert ended == [key.id]


async def test_what_was_read_too_long_ago_is_not_believed() -> None:
    """However long the database is away, a revoked key opens nothing after five seconds."""
    rows, clock = MemoryKeys(), ManualClock()
    ring, shown = KeyRing(rows, clock), rows.make("acme")
    await ring.find(digest(shown))
    rows.is_away = True

    await ring.refresh()
    assert await ring.find(digest(shown)) is not None
    clock.pass_by(FRESH)

    with pytest.raises(Unavailable):
        await ring.find(digest(shown))


async def test_a_strange_key_is_asked_for_once_in_a_while() -> None:
    """A client that goes on with a wrong key is no load; a new key works within two seconds."""
    rows, clock = MemoryKeys(), ManualClock()
    ring, shown = KeyRing(rows, clock), rows.make("acme")
    key = rows.by_digest.pop(digest(shown))
    assert await ring.find(digest(shown)) is None

    asked = rows.questions
    rows.by_digest[digest(shown)] = key
    assert await ring.find(digest(shown)) is None
    assert rows.questions == asked
    clock.pass_by(2.0)

    assert await ring.find(digest(shown)) == key


async def test_i12_strange_keys_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends a new one with each request costs memory for a bounded number."""
    monkeypatch.setattr("front_service.keyring._MOST_REFUSED", 10)
    ring = KeyRing(MemoryKeys(), ManualClock())

    for number in range(100):
        await ring.find(number.to_bytes(32, "big"))
        assert len(ring._refused) <= 10


async def test_a_key_that_nobody_uses_is_forgotten_here_but_not_one_with_a_stream() -> None:
    """A look asks for what is in use; an open stream is, however quiet."""
    rows, clock = MemoryKeys(), ManualClock()
    quiet, idle = rows.make("acme"), rows.make("acme")
    present = {rows.by_digest[digest(quiet)].id}
    ring = KeyRing(rows, clock, is_present=present.__contains__)
    for shown in (quiet, idle):
        await ring.find(digest(shown))

    clock.pass_by(61)
    await ring.refresh()

    assert list(ring._known) == [digest(quiet)]


async def test_the_first_key_is_felt_and_stays_felt() -> None:
    """Its end must not open the door again to those who have none."""
    rows, clock = MemoryKeys(), ManualClock()
    ring = KeyRing(rows, clock)
    assert not await ring.is_any()
    shown = rows.make("acme")
    clock.pass_by(FRESH)
    assert await ring.is_any()

    rows.end(shown)
    rows.is_away = True
    clock.pass_by(1_000)

    assert await ring.is_any()


async def test_what_was_used_is_noted_now_and_then() -> None:
    """To the minute: a write for each request would cost more than the request."""
    rows, clock = MemoryKeys(), ManualClock()
    ring, shown = KeyRing(rows, clock), rows.make("acme")
    key = await ring.find(digest(shown))
    assert key is not None

    await ring.refresh()
    assert rows.noted == []
    clock.pass_by(60)
    await ring.refresh()
    clock.pass_by(30)
    await ring.refresh()

    assert rows.noted == [key.id]
