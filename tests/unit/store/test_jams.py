"""Submissions whose key somebody holds: they wait in order, and nobody else waits with them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from shared.contract.jobs import Accepted, Submission
from shared.store.batches import Admitted
from shared.store.intake import Intake
from shared.store.pool import Locked, Pool
from tests.support.builders import a_submission
from tests.unit.back.fakes import settle


class Store:
    """Stands in for the database: some keys are held, until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.intake = Intake(cast("Pool", None), confirm_wait=timedelta(0))
        self.held: dict[str | None, asyncio.Event] = {}
        self.written: list[str | None] = []
        self.waiting = 0
        monkeypatch.setattr(self.intake, "_commit", self._commit)

    def hold(self, *keys: str) -> None:
        self.held |= {key: asyncio.Event() for key in keys}

    def let_go(self, key: str) -> None:
        self.held.pop(key).set()

    def submit(self, key: str | None = None) -> "asyncio.Task[Any]":
        return asyncio.create_task(self.intake.admit(a_submission(ordering_key=key)))

    async def _commit(self, batch: Sequence[Submission]) -> list[Admitted]:
        held = [self.held[s.ordering_key] for s in batch if s.ordering_key in self.held]
        if held and len({s.ordering_key for s in batch}) > 1:
            raise Locked("somebody holds one of these")
        for gate in held:
            self.waiting += 1
            await gate.wait()
            self.waiting -= 1
        self.written += [s.ordering_key for s in batch]
        now = datetime.now(UTC)
        return [Admitted(accepted=Accepted(job_id=s.id, at=now)) for s in batch]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(monkeypatch)


async def test_i18_a_held_key_keeps_nobody_else_waiting(store: Store) -> None:
    """What comes while a key is held waits behind it only if it is of that key."""
    store.hold("k")
    first, plain = store.submit("k"), store.submit()  # of one batch
    await plain
    second, later = store.submit("k"), store.submit()
    await later

    assert not first.done()
    assert not second.done()
    store.let_go("k")
    await asyncio.gather(first, second)
    assert store.written == [None, None, "k", "k"]


async def test_however_many_keys_are_held_few_are_tried_at_a_time(store: Store) -> None:
    """Each of those holds a connection: the others need theirs."""
    keys = [f"key-{number}" for number in range(20)]
    store.hold(*keys)
    calls = [store.submit(key) for key in (*keys, None)]

    await calls[-1]
    await settle()

    assert store.waiting == 2
    for key in keys:
        store.let_go(key)
    await asyncio.gather(*calls)
    assert sorted(map(str, store.written[1:])) == sorted(keys)


async def test_who_has_gone_is_not_written(store: Store) -> None:
    """A caller who was told to try again must not find that it was done after all."""
    store.hold("k")
    first, plain = store.submit("k"), store.submit()
    await plain
    second = store.submit("k")
    await store.submit()  # the second has joined the jam

    second.cancel()
    await asyncio.wait([second])
    store.let_go("k")

    await first
    await store.intake.drain()
    assert store.written.count("k") == 1
